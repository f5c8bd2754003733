// What every program here does: mn-video data prepare, with the name of its data set.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))

/** Without arguments it prints where to get the data set and what must lie where. */
export function prepare(name) {
  if (!existsSync(program)) {
    console.error(`${name}: the program is not built. Run npm run build first.`)
    process.exitCode = 1
    return
  }
  const args = [program, 'data', 'prepare', name, ...process.argv.slice(2)]
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1
}
