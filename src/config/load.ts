/** Configuration files: finding and reading them. What is in them is read by `parse.ts`. */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MnVideoError, reasonOf } from '../errors.ts'
import { isFile, isFolder } from '../files/exists.ts'
import { readText } from '../files/read.ts'
import { parseConfig } from './parse.ts'
import { show } from './problems.ts'
import type { Config } from './schema.ts'

/** No configuration is longer; a file that is was named by mistake. */
const MAX_BYTES = 2 ** 20

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
  const presetText = preset === undefined ? undefined : await textIn(preset)
  // A folder of a recipe's name (a run, say) does not hide the recipe.
  const text = presetText && (await isFolder(file)) ? undefined : await textIn(file)
  if (text !== undefined) return parseConfig(text, file)
  if (preset === undefined || presetText === undefined) {
    const names = (await presetNames()).join(', ')
    throw new MnVideoError('config', `${file}: no such file. Give a configuration file, or one of ${names}.`)
  }
  return parseConfig(presetText, preset)
}

/** The names of the recipes that come with the program. */
export async function presetNames(): Promise<string[]> {
  const files = await readdir(presets).catch(() => [])
  return files
    .filter((file) => file.endsWith('.yml'))
    .map((file) => file.slice(0, -4))
    .sort()
}

/** The text of a configuration file; undefined where there is none. */
async function textIn(file: string): Promise<string | undefined> {
  try {
    return await readText(file, MAX_BYTES)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new MnVideoError(
      'config',
      `${file}: cannot be read: ${reasonOf(error)}. Give a configuration file: YAML or JSON in UTF-8, of 1 MiB at most.`,
      { cause: error },
    )
  }
}
