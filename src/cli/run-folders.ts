/** Where the run of a configuration lies. */
import { basename, join } from 'node:path'
import type { Config } from '../config/index.ts'

/** `runs/x3d` for `configs/x3d.yml` and for the recipe `x3d`; a run's own `config.yml` stands for its folder. */
export function folderFor(file: string, config: Config): string {
  const path = file.replace(/^app:/, '')
  if (basename(path) === 'config.yml') return join(path, '..')
  return join(config.log_dir, basename(path).replace(/\.ya?ml$/, ''))
}
