/** The tfjs engine: TensorFlow.js on the best backend that loads here. */
import * as tf from '@tensorflow/tfjs-core'
import { MnVideoError, messageOf } from '../../errors.ts'
import type { Engine } from '../engine.ts'
import { checkCompileOptions } from '../inputs.ts'
import { checkPrecision } from '../precision.ts'
import { TFJS_BACKENDS, type TfjsBackend } from './backends.ts'
import { type Backend, COMPOSITES } from './kernels.ts'
import { createPlan } from './plan.ts'
import { loadTensorflow } from './tensorflow.ts'
import { TENSORFLOW_KERNELS } from './tensorflow-kernels.ts'
import { openDeviceParameters, openHostParameters } from './trained-parameters.ts'
import { createTrainer } from './trainer.ts'

export interface TfjsEngine extends Engine {
  readonly name: 'tfjs'
  readonly backend: TfjsBackend
  readonly skipped: readonly string[]
}

/**
 * Opens the engine on one backend, or on the first of `TFJS_BACKENDS` that loads.
 *
 * @throws MnVideoError `engine` when the backend asked for, or every one, cannot be loaded.
 */
export async function openTfjsEngine(backend?: TfjsBackend): Promise<TfjsEngine> {
  // Without this tfjs checks every value for NaN and advertises its other packages on the terminal.
  tf.enableProdMode()
  if (backend !== undefined && !TFJS_BACKENDS.includes(backend)) {
    throw new MnVideoError(
      'engine',
      `there is no tfjs backend "${backend}". Give one of ${TFJS_BACKENDS.join(', ')}.`,
    )
  }
  const skipped: string[] = []
  for (const candidate of backend ? [backend] : TFJS_BACKENDS) {
    try {
      const library = await LOADERS[candidate]()
      if (!(await tf.setBackend(candidate))) throw new Error(`tfjs could not start its ${candidate} backend`)
      return createEngine(candidate, library, skipped)
    } catch (error) {
      skipped.push(`${candidate}: ${messageOf(error).split('\n')[0]}`)
    }
  }
  throw new MnVideoError('engine', `no tfjs backend can be used here.\n${skipped.join('\n')}`)
}

/** Imports what registers a backend with tfjs; returns the name of the library that did. */
const LOADERS: Record<TfjsBackend, () => Promise<string>> = {
  async tensorflow() {
    const { name, version, gpu } = await loadTensorflow()
    const device = gpu ? 'GPU' : name.endsWith('-gpu') ? 'CPU: it finds no GPU' : 'CPU'
    return `${name}, TensorFlow ${version}, ${device}`
  },
  async wasm() {
    await import('@tensorflow/tfjs-backend-wasm')
    return '@tensorflow/tfjs-backend-wasm'
  },
  async cpu() {
    await import('@tensorflow/tfjs-backend-cpu')
    return '@tensorflow/tfjs-backend-cpu'
  },
}

/** How each backend computes. */
const BACKENDS: Record<TfjsBackend, Omit<Backend, 'activate'>> = {
  tensorflow: {
    kernels: TENSORFLOW_KERNELS,
    openParameters: openDeviceParameters,
    memoryLimit: Number.POSITIVE_INFINITY,
  },
  wasm: {
    kernels: COMPOSITES,
    openParameters: openHostParameters,
    // WebAssembly addresses 4 GiB, and aborts for good when it runs out; the rest is left to weights and to what freed
    // blocks of other sizes leave unusable.
    memoryLimit: 2.5 * 2 ** 30,
  },
  cpu: {
    kernels: COMPOSITES,
    openParameters: openHostParameters,
    memoryLimit: Number.POSITIVE_INFINITY,
  },
}

function createEngine(backend: TfjsBackend, library: string, skipped: readonly string[]): TfjsEngine {
  // The current backend is global to tfjs, and another engine may have changed it. A backend that has started
  // becomes the current one before setBackend's first await, so nothing comes between this and what follows.
  const activate = () => void tf.setBackend(backend)
  const own: Backend = { activate, ...BACKENDS[backend] }
  const engine: TfjsEngine = {
    name: 'tfjs',
    backend,
    skipped,
    description: `tfjs ${tf.version_core}, ${backend} backend (${library})`,
    async compile(subNetwork, weights, options) {
      checkCompileOptions(subNetwork, weights, options)
      checkPrecision(engine, options.precision)
      return createPlan(subNetwork, weights, options, own)
    },
    async openTrainer(network, weights, options) {
      return createTrainer(network, weights, options, own)
    },
  }
  return engine
}
