/** Miniature copies of data sets: folders and files written from an object. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Paths to contents; a folder's path may stand for a list of empty-but-for-a-byte files in it. */
export type Tree = Readonly<Record<string, string | Uint8Array | readonly string[]>>

export async function writeTree(root: string, tree: Tree): Promise<string> {
  for (const [path, content] of Object.entries(tree)) {
    if (Array.isArray(content)) {
      await mkdir(join(root, path), { recursive: true })
      for (const name of content) await writeFile(join(root, path, name), 'x')
    } else {
      await mkdir(dirname(join(root, path)), { recursive: true })
      await writeFile(join(root, path), content as string | Uint8Array)
    }
  }
  return root
}
