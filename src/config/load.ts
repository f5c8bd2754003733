/** Configuration files: finding and reading them. What is in them is read by `parse.ts`. */
import { existsSync } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MnVideoError, messageOf } from '../errors.ts'
import { parseConfig } from './parse.ts'
import { show } from './problems.ts'
import type { Config } from './schema.ts'

/** No configuration is longer; a file that is was named by mistake. */
const maxBytes = 2 ** 20

/** The recipes that come with the program. */
const presets = fileURLToPath(new URL('../../configs/', import.meta.url))

/** The file of a configuration that a path names: a run's folder stands for its `config.yml`. */
export async function configFile(path: string): Promise<string> {
  const ofRun = join(path, 'config.yml')
  return (await isFolder(path)) && !isPreset(path) && (await isFile(ofRun)) ? ofRun : path
}

const isPreset = (name: string): boolean => /^[\w-]+$/.test(name) && existsSync(join(presets, `${name}.yml`))

/**
 * The configuration in a file: a path, a run's folder, a path as MutualNet takes it (`app:PATH`), or the bare name of a
 * recipe of ours (`x3d`) when there is no such file.
 */
export async function loadConfig(path: string): Promise<Config> {
  if (typeof path !== 'string') throw new MnVideoError('usage', `loadConfig takes a path, not ${show(path)}.`)
  const file = await configFile(path.replace(/^app:/, ''))
  const preset = /^[\w-]+$/.test(file) ? join(presets, `${file}.yml`) : undefined
  const presetBytes = preset === undefined ? undefined : await readLimited(preset)
  // A folder of a recipe's name (a run, say) does not hide the recipe.
  const bytes = presetBytes && (await isFolder(file)) ? undefined : await readLimited(file)
  if (bytes !== undefined) return parseConfig(decode(bytes, file), file)
  if (preset === undefined || presetBytes === undefined) {
    const names = (await presetNames()).join(', ')
    throw new MnVideoError('config', `${file}: no such file. Give a configuration file, or one of ${names}.`)
  }
  return parseConfig(decode(presetBytes, preset), preset)
}

/** The names of the recipes that come with the program. */
export async function presetNames(): Promise<string[]> {
  const files = await readdir(presets).catch(() => [])
  return files
    .filter((file) => file.endsWith('.yml'))
    .map((file) => file.slice(0, -4))
    .sort()
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  )

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )

/** The bytes of a file of at most `maxBytes`; undefined where there is none. */
async function readLimited(file: string): Promise<Buffer | undefined> {
  try {
    const handle = await open(file)
    try {
      // Read up to the limit rather than asking for the size: a pipe or device has none.
      const buffer = Buffer.alloc(maxBytes + 1)
      let length = 0
      while (length < buffer.length) {
        const { bytesRead } = await handle.read(buffer, length, buffer.length - length)
        if (bytesRead === 0) break
        length += bytesRead
      }
      if (length > maxBytes) {
        throw new MnVideoError('config', `${file}: longer than 1 MiB, so not a configuration file.`)
      }
      return buffer.subarray(0, length)
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (error instanceof MnVideoError) throw error
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    const reason =
      code === 'EISDIR' ? 'is a folder; give a configuration file.' : `cannot be read: ${messageOf(error)}.`
    throw new MnVideoError('config', `${file}: ${reason}`, { cause: error })
  }
}

function decode(bytes: Buffer, file: string): string {
  const wrong = (what: string) => new MnVideoError('config', `${file}: ${what}. Save it as UTF-8 text.`)
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    throw wrong('the text is UTF-16')
  }
  if (bytes.includes(0)) throw wrong('not a text file')
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw wrong('the text is not UTF-8')
  }
}
