/** Reference data beside the repository (`../shared`, or where `MN_VIDEO_SHARED` says), which cannot be shipped. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = process.env.MN_VIDEO_SHARED ?? fileURLToPath(new URL('../../../shared', import.meta.url))

/** The path of something in it, or undefined where it is absent. */
export function sharedPath(name: string): string | undefined {
  const path = `${folder}/${name}`
  return existsSync(path) ? path : undefined
}
