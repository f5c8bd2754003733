// Configures and compiles the add-on with CMake, for this machine (build.mjs) or for another (scripts/package.mjs).
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const SOURCE = fileURLToPath(new URL('.', import.meta.url))
/** How often the part that is done is told, where nobody watches a terminal. */
const TELL_MILLISECONDS = 10_000

/**
 * Compiles into a folder, whose `compile.log` gets all that CMake and the compiler print. What has been compiled there
 * with the same definitions is not compiled again.
 *
 * @param {{ folder: string, definitions?: Readonly<Record<string, string>>, tell?: (percent: number) => void }} options
 * @returns {Promise<{ file: string } | { log: string, reason: string }>} the built file, or why there is none
 */
export async function compile({ folder, definitions = {}, tell = () => {} }) {
  await mkdir(folder, { recursive: true })
  const log = join(folder, 'compile.log')
  const file = join(folder, 'mn_video.node')
  // What was built before must not stand in for what fails now, nor another compiler's settings for this one's.
  await Promise.all([file, join(folder, 'CMakeCache.txt')].map((path) => rm(path, { force: true })))
  const { version } = require('../package.json')
  const given = {
    CMAKE_BUILD_TYPE: 'Release',
    NODE_INCLUDES: includes().join(';'),
    MN_VERSION: version,
    ...definitions,
  }
  const defined = Object.entries(given).map(([key, value]) => `-D${key}=${value}`)
  const output = createWriteStream(log)
  const code =
    (await run('cmake', ['-S', SOURCE, '-B', folder, ...defined], output, () => {})) ||
    (await run('cmake', ['--build', folder, '--parallel', `${availableParallelism()}`], output, tell))
  await new Promise((resolve) => output.end(resolve))
  if (code === 0) {
    // Who loads it can tell that it is whole.
    const digest = createHash('sha256')
      .update(await readFile(file))
      .digest('hex')
    await writeFile(`${file}.sha256`, `${digest}\n`)
    return { file }
  }
  const lines = (await readFile(log, 'utf8')).split('\n')
  const reason = lines.find((line) => /\berror\b|CMake Error|not found/i.test(line)) ?? `exit code ${code}`
  return { log, reason: reason.trim().slice(0, 200) }
}

/** Says how far a compilation is: at once on a terminal, else now and then. */
export function telling(what, stream = process.stderr) {
  let told = Date.now()
  return (percent) => {
    if (stream.isTTY) stream.write(`\r${what}: ${percent} %${percent === 100 ? '\n' : ''}`)
    else if (Date.now() - told >= TELL_MILLISECONDS) {
      told = Date.now()
      stream.write(`${what}: ${percent} %\n`)
    }
  }
}

/** The folders of Node-API's headers, which come from npm. */
function includes() {
  return [require('node-api-headers').include_dir, dirname(require.resolve('node-addon-api'))]
}

function run(program, args, output, tell) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        output.write(`${line}\n`)
        const percent = /^\[ *(\d+)%\]/.exec(line)?.[1]
        if (percent) tell(Number(percent))
      })
    }
    child.on('error', (error) => {
      output.write(`${program}: ${error.message}\n`)
      resolve(127)
    })
    child.on('close', (code) => resolve(code ?? 1))
  })
}
