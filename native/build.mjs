// Builds the native engine when this machine can, for `npm run build:native`. What is missing is said in one
// line and is no failure: everything works without it, only slower. Errors of the compiler are failures.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const COST = 'without it networks run on TensorFlow.js, many times slower'
const folder = fileURLToPath(new URL('.', import.meta.url))
const require = createRequire(import.meta.url)

const missing = findMissing()
if (missing) {
  console.log(`native engine not built: ${missing} (${COST}).`)
} else {
  const cmakeJs = require.resolve('cmake-js/bin/cmake-js')
  const debug = process.argv.includes('--sanitize') ? ['--CDMN_SANITIZE=ON'] : []
  const built = spawnSync(
    process.execPath,
    [cmakeJs, 'compile', '--directory', folder, '--out', `${folder}build`, ...debug],
    {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
    },
  )
  if (built.status === 0) {
    console.log(`native engine built: ${folder}build/Release/mn_video.node`)
  } else {
    const output = `${built.stdout}\n${built.stderr}`
    const absent = /MISSING: (.*)/.exec(output)?.[1]
    if (absent) {
      console.log(
        `native engine not built: ${absent} is missing; on Debian: apt-get install libdnnl-dev g++ (${COST}).`,
      )
    } else {
      console.error(output)
      process.exitCode = 1
    }
  }
}

/** What to install first, or nothing. */
function findMissing() {
  if (!runs('cmake')) return 'CMake is missing; on Debian: apt-get install cmake'
  if (!runs(process.env.CXX ?? 'c++')) return 'a C++ compiler is missing; on Debian: apt-get install g++'
  for (const name of ['cmake-js/bin/cmake-js', 'node-addon-api', 'node-api-headers']) {
    try {
      require.resolve(name)
    } catch {
      return `the package ${name.split('/')[0]} is missing; run npm ci with optional packages`
    }
  }
}

function runs(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0
}
