/** Runs an exported model in ONNX Runtime, where `onnxruntime-node` is installed: to check what was exported. */
import type { FrameBatch, Inputs } from '../../frames/batch.ts'
import { LOGITS } from './from-network.ts'

/** The part of onnxruntime-node that is used here. */
interface Runtime {
  readonly InferenceSession: {
    create(file: string | Uint8Array, options?: object): Promise<Session>
  }
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: readonly number[]) => object
}

interface Session {
  run(feeds: Record<string, object>): Promise<Record<string, { readonly data: unknown }>>
  release?(): Promise<void>
}

/** The name of the package, kept from the compiler: programs that use this one need not have it. */
const PACKAGE = 'onnxruntime-node'

/** The runtime, or undefined where it is not installed or does not load here. */
export async function findRuntime(): Promise<Runtime | undefined> {
  try {
    const library = (await import(PACKAGE)) as Runtime & { readonly default?: Runtime }
    return library.InferenceSession ? library : library.default
  } catch {
    return undefined
  }
}

/**
 * The logits [batch, classes] of a model.
 *
 * @param model a file or its bytes
 * @param inputs floats, as an engine takes them
 */
export async function runOnnx(
  runtime: Runtime,
  model: string | Uint8Array,
  inputs: Inputs,
  media: 'video' | 'image',
): Promise<Float32Array> {
  const session = await runtime.InferenceSession.create(model, { logSeverityLevel: 3 })
  try {
    const results = await session.run(feedsOf(runtime, inputs, media))
    return results[LOGITS]!.data as Float32Array
  } finally {
    await session.release?.()
  }
}

/** Inputs as an exported model takes them: channels before frames. */
export function feedsOf<T>(
  runtime: TensorMaker<T>,
  inputs: Inputs,
  media: 'video' | 'image',
): Record<string, T> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, clip]) => {
      const { batch, frames, height, width } = clip
      const shape = media === 'video' ? [batch, 3, frames, height, width] : [batch, 3, height, width]
      return [name, new runtime.Tensor('float32', channelsFirst(clip), shape)]
    }),
  )
}

interface TensorMaker<T> {
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: readonly number[]) => T
}

function channelsFirst({ data, batch, frames, height, width }: FrameBatch): Float32Array {
  const positions = frames * height * width
  const values = new Float32Array(data.length)
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < positions; i++) {
      for (let c = 0; c < 3; c++) values[(n * 3 + c) * positions + i] = data[(n * positions + i) * 3 + c]!
    }
  }
  return values
}

/** The largest difference, relative to the largest value of the first. */
export function largestDifference(a: Float32Array, b: Float32Array): number {
  let largest = 0
  let difference = a.length === b.length ? 0 : Number.POSITIVE_INFINITY
  for (let i = 0; i < a.length; i++) {
    largest = Math.max(largest, Math.abs(a[i]!))
    difference = Math.max(difference, Math.abs(a[i]! - b[i]!))
  }
  return difference / largest
}
