// Checks that modules import downwards alone: each folder of src only from those that stand before it in this list, which
// docs/architecture.md describes.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

/** From the ground up. Modules of src itself may be imported from anywhere, and import each other alone. */
const ROOMS = [
  'files',
  'network',
  'models',
  'config',
  'frames',
  'image',
  'video',
  'checkpoints',
  'data',
  'engines',
  'runs',
  'evaluation',
  'inference',
  'report',
  'training',
  'server',
  'cli',
]
/** What users import: it gathers from every room. */
const ENTRY = 'index.ts'
const SPECIFIER = /\b(?:from|import)\s*\(?\s*'(\.[^']*)'/g

const root = fileURLToPath(new URL('../src', import.meta.url))
const floorOf = (file) => (file.includes('/') ? ROOMS.indexOf(file.split('/')[0]) : -1)
let wrong = 0
for (const file of readdirSync(root, { recursive: true })) {
  if (!file.endsWith('.ts') || file === ENTRY) continue
  const floor = floorOf(file)
  if (file.includes('/') && floor < 0) {
    wrong++
    console.error(`src/${file}: its folder has no place in scripts/check-rooms.mjs. Give it one.`)
  }
  for (const [, specifier] of readFileSync(join(root, file), 'utf8').matchAll(SPECIFIER)) {
    const imported = normalize(join(dirname(file), specifier))
    if (floorOf(imported) <= floor) continue
    wrong++
    console.error(
      `src/${file}: imports src/${imported}, which is of a room above it (${ROOMS.join(' < ')}).\nMove one of the two, or hand over what is needed.`,
    )
  }
}
process.exitCode = wrong > 0 ? 1 : 0
