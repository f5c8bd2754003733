/** Where the built add-on is: in a checkout what it built itself, else the installed package of this platform. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describePlatform, PLATFORMS, packageOf, thisPlatform } from './platforms.ts'

export interface FoundAddon {
  /** The file to load. */
  readonly path: string
  /** This program's version, which the add-on has to be of. */
  readonly version: string
  /** The command that makes it anew. */
  readonly remedy: string
}

/** The add-on's file in its package, and in a checkout's `native/build`; its SHA-256 is beside it. */
const FILE = 'mn_video.node'

/** A file that is whole, or why there is none and the way to one. */
export function findAddon(): FoundAddon | { readonly reason: string } {
  const root = findRoot()
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  if (existsSync(join(root, 'native/CMakeLists.txt'))) {
    const remedy = 'run: npm run build:native'
    const path = join(root, 'native/build', FILE)
    return existsSync(path) ? whole({ path, version, remedy }) : { reason: `not built; ${remedy}` }
  }
  const here = thisPlatform()
  const name = packageOf(here)
  const remedy = `run: npm install ${name}@${version}`
  const path = resolved(`${name}/${FILE}`)
  if (path) return whole({ path, version, remedy })
  if (!PLATFORMS.some((platform) => packageOf(platform) === name)) {
    return { reason: `not published for ${describePlatform(here)}; a checkout can build it` }
  }
  const other = PLATFORMS.find((platform) => resolved(`${packageOf(platform)}/${FILE}`))
  const instead = other ? `, only ${packageOf(other)}, which is for ${describePlatform(other)}` : ''
  return { reason: `${name} is not installed${instead}; ${remedy}` }
}

/** The loader of a system may crash on half a library. */
function whole(found: FoundAddon): FoundAddon | { readonly reason: string } {
  try {
    const digest = createHash('sha256').update(readFileSync(found.path)).digest('hex')
    if (digest === readFileSync(`${found.path}.sha256`, 'utf8').trim()) return found
  } catch {
    // Unreadable, or without its digest: as little to be trusted.
  }
  return { reason: `${found.path} is damaged; ${found.remedy}` }
}

/** The folder of this package's package.json, wherever this module was compiled to. */
function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}

function resolved(request: string): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(request)
  } catch {
    return undefined
  }
}
