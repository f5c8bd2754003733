/**
 * Finds and loads TensorFlow's native backend: `@tensorflow/tfjs-node-gpu`, else `@tensorflow/tfjs-node`. A broken
 * installation (no libtensorflow, a binding built for another one, the wrong CUDA) may throw at load or end the
 * process, so each is tried in a process of its own first.
 */
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import util, { promisify } from 'node:util'
import { messageOf } from '../../errors.ts'

/** In order of preference. */
const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const

export interface TensorflowLibrary {
  /** The package's name. */
  readonly name: string
  /** The file that `require` loads. */
  readonly path: string
  /** Of libtensorflow. */
  readonly version: string
  /** Whether TensorFlow computes on a GPU. */
  readonly gpu: boolean
}

/** Where `scripts/install-tfjs-node.sh` puts its packages. */
const INSTALLED = fileURLToPath(new URL('../../../build/tensorflow/', import.meta.url))

let loading: Promise<TensorflowLibrary> | undefined

/**
 * Loads the first package that works and thereby registers tfjs's backend `tensorflow`. A process loads one at most.
 *
 * @throws Error whose message tells, in one line, why each package cannot be used
 */
export function loadTensorflow(): Promise<TensorflowLibrary> {
  loading ??= load()
  // The next attempt looks again: something may have been mended.
  loading.catch(() => {
    loading = undefined
  })
  return loading
}

async function load(): Promise<TensorflowLibrary> {
  prepareProcess()
  const reasons: string[] = []
  for (const name of PACKAGES) {
    const paths = placesOf(name)
    if (paths.length === 0) reasons.push(`${name} is not installed`)
    for (const path of paths) {
      try {
        const { version, gpu } = await probe(path)
        createRequire(path)(path)
        return { name, path, version, gpu }
      } catch (error) {
        reasons.push(`${name} does not load: ${inOneLine(messageOf(error))} (${path})`)
      }
    }
  }
  throw new Error(reasons.join('; '))
}

/**
 * The files that a package's `require` would load: under `MN_VIDEO_TFJS_NODE` if that is set, else beside this
 * program's own dependencies and where the install script puts it.
 */
function placesOf(name: string): string[] {
  const given = process.env.MN_VIDEO_TFJS_NODE
  const from =
    given === undefined ? [import.meta.url, pathToFileURL(INSTALLED)] : [pathToFileURL(`${given}/`)]
  const found = from.flatMap((place) => {
    try {
      return [createRequire(place).resolve(name)]
    } catch {
      return []
    }
  })
  return [...new Set(found)]
}

/** What tfjs-node 4.22 calls of Node's util: deprecated, and the first gone from Node 23. */
const LEGACY = {
  isNullOrUndefined: (value: unknown) => value === null || value === undefined,
  isArray: Array.isArray,
}

/** Settings that libtensorflow reads when it loads, and what tfjs-node expects of Node. */
function prepareProcess(): void {
  Object.assign(util, LEGACY)
  // Which CPU features and which GPU it found, on standard error at every start.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2'
  // TensorFlow's own kernels for gradients of 3-D convolutions can be 50 times slower than oneDNN's, which it uses by
  // itself on the newest processors only.
  process.env.TF_ENABLE_ONEDNN_OPTS ??= '1'
  // Without this each process takes nearly all of the GPU's memory for itself.
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true'
}

/** A convolution needs what a bare load does not: cuDNN, and the kernels of the binding's own operations. */
const PROBE = `
  require('node:util').isNullOrUndefined = (value) => value === null || value === undefined
  const tf = require(process.argv[1])
  const sum = tf.sum(tf.conv2d(tf.ones([1, 4, 4, 2]), tf.ones([3, 3, 2, 2]), 1, 'valid')).dataSync()[0]
  if (sum !== 144) throw new Error('it computes a convolution of ones as ' + sum + ' in place of 144')
  const { binding, isUsingGpuDevice } = tf.backend()
  process.stdout.write('\\n' + JSON.stringify({ version: String(binding.TF_Version), gpu: isUsingGpuDevice === true }))
`

/** Loads a package and computes with it in a child process. */
async function probe(path: string): Promise<Pick<TensorflowLibrary, 'version' | 'gpu'>> {
  try {
    const options = { timeout: 120_000, maxBuffer: 2 ** 24 }
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', PROBE, path], options)
    return JSON.parse(stdout.slice(stdout.lastIndexOf('\n')))
  } catch (error) {
    const {
      signal,
      code,
      stderr = '',
    } = error as { signal?: string; code?: number | string; stderr?: string }
    throw new Error(reasonIn(stderr) ?? `its process ended with ${signal ?? `code ${code}`}`)
  }
}

/** The line of a process's last words that says why: what was thrown, or what the dynamic linker said. */
function reasonIn(stderr: string): string | undefined {
  const lines = stderr.split('\n').map((line) => line.trim())
  const thrown = lines.find((line) => /^(\w*Error: |.*symbol lookup error: )/.test(line))
  return thrown?.replace(/^\w*Error: /, '')
}

const inOneLine = (text: string): string => text.split('\n')[0]!.trim()
