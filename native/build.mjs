// Builds the native engine for this machine, for `npm run build:native`; `--sanitize` with AddressSanitizer. A missing
// tool is said in one line and is no failure: everything works without the engine, only slower. What does not compile
// is one line, too, and exit code 1.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const COST = 'without it networks run on TensorFlow.js, many times slower'
const missing = await findMissing()
if (missing) console.log(`native engine not built: ${missing} (${COST}).`)
else await build()

async function build() {
  const { compile, telling } = await import('./compile.mjs')
  const sanitize = process.argv.includes('--sanitize') ? 'ON' : 'OFF'
  const built = await compile({
    folder: fileURLToPath(new URL('build', import.meta.url)),
    definitions: { MN_SANITIZE: sanitize },
    tell: telling('native engine'),
  })
  if ('file' in built) console.log(`native engine built: ${built.file}`)
  else {
    console.error(`native engine not built: ${built.reason} (all of it: ${built.log}; ${COST}).`)
    process.exitCode = 1
  }
}

/** What to install first, or nothing. */
async function findMissing() {
  const tools = { cmake: 'cmake', make: 'make', [process.env.CXX || 'c++']: 'g++' }
  const absent = Object.entries(tools).filter(([program]) => !runs(program))
  if (absent.length > 0) {
    const packages = absent.map(([, name]) => name).join(' ')
    return `${absent.map(([program]) => program).join(', ')} missing; on Debian: apt-get install ${packages}`
  }
  for (const name of ['node-addon-api', 'node-api-headers']) {
    const found = await import(name).catch(() => undefined)
    if (!found) return `the package ${name} is missing; run npm ci`
  }
}

function runs(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0
}
