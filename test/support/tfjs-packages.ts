/** Folders of npm packages as TensorFlow's native backends leave them: working, or broken in the ways that are seen. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** An empty folder, in which no package is installed. */
export const emptyFolder = (): string => mkdtempSync(join(tmpdir(), 'mn-video-packages-'))

const PACKAGES = { gpu: '@tensorflow/tfjs-node-gpu', cpu: '@tensorflow/tfjs-node' } as const

/** A folder with these packages in its node_modules, given the text of their main files. */
export async function folderWith(sources: { readonly gpu?: string; readonly cpu?: string }): Promise<string> {
  const folder = emptyFolder()
  for (const [kind, name] of Object.entries(PACKAGES)) {
    const source = sources[kind as keyof typeof PACKAGES]
    if (source === undefined) continue
    const root = join(folder, 'node_modules', name)
    await mkdir(root, { recursive: true })
    await writeFile(join(root, 'package.json'), JSON.stringify({ name, version: '4.22.0', main: 'index.js' }))
    await writeFile(join(root, 'index.js'), source)
  }
  return folder
}

/** What the dynamic linker refuses to load, as it does a binding whose libtensorflow is missing. */
export const UNLOADABLE = loadsFile('not a shared object')
/** A binding built for another libtensorflow may end the process at once. */
export const ABORTS = 'process.abort()'

/** The source of a package that loads a file of this content as its binding. */
function loadsFile(content: string): string {
  const path = join(emptyFolder(), 'tfjs_binding.node')
  writeFileSync(path, content)
  return `require(${JSON.stringify(path)})`
}

/** The source of a package that works: plain JavaScript's kernels under the name of TensorFlow's backend. */
export function standIn(gpu: boolean, version = '2.0.0-stand-in'): string {
  const require = createRequire(import.meta.url)
  const library = (name: string) => JSON.stringify(require.resolve(`@tensorflow/${name}`))
  return `
    if (!require('util').isNullOrUndefined(null)) throw new Error('null is null')
    const tf = require(${library('tfjs-core')})
    const { MathBackendCPU } = require(${library('tfjs-backend-cpu')})
    for (const kernel of tf.getKernelsForBackend('cpu')) tf.registerKernel({ ...kernel, backendName: 'tensorflow' })
    tf.registerBackend('tensorflow', () =>
      Object.assign(new MathBackendCPU(), { binding: { TF_Version: '${version}' }, isUsingGpuDevice: ${gpu} }))
    tf.setBackend('tensorflow')
    module.exports = tf
  `
}
