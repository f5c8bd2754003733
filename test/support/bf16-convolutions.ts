/**
 * Dense convolutions of the native engine in bfloat16, at awkward sizes, and what plain loops in double precision over
 * inputs and weights that were rounded to bfloat16 give for them.
 */
import { loadAddon } from '../../src/engines/native/addon.ts'
import { createRandom } from '../../src/network/random.ts'

type Axes = readonly [number, number, number]

export interface Bf16Case {
  readonly title: string
  readonly inChannels: number
  readonly outChannels: number
  readonly kernel: Axes
  readonly stride: Axes
  readonly padding: Axes
  readonly batch: number
  /** Frames, height, width of the input. */
  readonly size: Axes
  readonly bias?: boolean
  readonly residual?: boolean
  readonly gates?: boolean
  /** ReLU6 of the output. */
  readonly activated?: boolean
}

const unit: Axes = [1, 1, 1]
const pointwise = { kernel: unit, stride: unit, padding: [0, 0, 0] as const }
const plane = { kernel: [1, 3, 3] as const, stride: unit, padding: [0, 1, 1] as const }

const CASES: readonly Omit<Bf16Case, 'title'>[] = [
  { ...pointwise, inChannels: 1, outChannels: 1, batch: 1, size: unit },
  { ...pointwise, inChannels: 7, outChannels: 5, batch: 2, size: [1, 3, 3], bias: true },
  { ...pointwise, inChannels: 33, outChannels: 50, batch: 1, size: [2, 5, 5], residual: true },
  { ...pointwise, inChannels: 54, outChannels: 24, batch: 2, size: [1, 7, 7], gates: true, bias: true },
  { ...pointwise, inChannels: 401, outChannels: 97, batch: 3, size: unit, bias: true },
  { ...pointwise, inChannels: 800, outChannels: 34, batch: 1, size: [1, 5, 5], activated: true },
  { ...plane, inChannels: 3, outChannels: 24, batch: 1, size: [2, 9, 9], stride: [1, 2, 2] },
  { ...plane, inChannels: 19, outChannels: 40, batch: 2, size: [2, 7, 7], bias: true, residual: true },
  { ...plane, inChannels: 64, outChannels: 48, batch: 1, size: [1, 14, 14], activated: true },
  {
    ...{ kernel: [3, 1, 1], stride: unit, padding: [1, 0, 0] },
    ...{
      inChannels: 135,
      outChannels: 17,
      batch: 1,
      size: [4, 3, 3],
      residual: true,
      activated: true,
    },
  },
  {
    ...{ kernel: [5, 3, 2], stride: [2, 2, 1], padding: [2, 1, 0] },
    ...{ inChannels: 5, outChannels: 33, batch: 2, size: [5, 7, 6], bias: true },
  },
]

export const BF16_CASES: readonly Bf16Case[] = CASES.map((each) => ({
  ...each,
  title: `${each.kernel.join('×')} stride ${each.stride.join('×')}, ${each.inChannels} → ${each.outChannels}, ${each.batch} × ${each.size.join('×')}`,
}))

/** The nearest bfloat16 number, of two equally near the even one. */
export function toBf16(value: number): number {
  const bits = new Uint32Array(new Float32Array([value]).buffer)
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000
  return new Float32Array(bits.buffer)[0]!
}

const outOf = ({ size, kernel, stride, padding }: Bf16Case): number[] =>
  size.map((extent, axis) => Math.floor((extent + 2 * padding[axis]! - kernel[axis]!) / stride[axis]!) + 1)

function materials(each: Bf16Case) {
  const { inChannels, outChannels, kernel, batch, size } = each
  const random = createRandom(7)
  const normals = (count: number, spread = 1) => new Float32Array(count).map(() => spread * random.normal())
  const count = (axes: readonly number[]) => axes.reduce((a, b) => a * b, 1)
  const outputs = batch * count(outOf(each)) * outChannels
  const taps = count(kernel)
  return {
    outputs,
    x: normals(batch * count(size) * inChannels),
    weights: normals(taps * inChannels * outChannels, Math.sqrt(1 / (taps * inChannels))),
    ...(each.bias && { bias: normals(outChannels) }),
    ...(each.residual && { residual: normals(outputs) }),
    ...(each.gates && { gates: normals(batch * inChannels) }),
  }
}

/** The add-on's answer. */
export async function nativeBf16(each: Bf16Case): Promise<Float32Array> {
  const addon = loadAddon()
  if ('reason' in addon) throw new Error(addon.reason)
  const { inChannels, outChannels, kernel, stride, padding, batch, size } = each
  const { outputs, weights, ...values } = materials(each)
  const arena = new addon.Memory(
    outputs + Object.values(values).reduce((sum, { length }) => sum + length, 0) + 64,
  )
  const at: Record<string, number> = { y: 0 }
  let end = outputs
  for (const [name, data] of Object.entries(values)) {
    arena.write(end, data)
    at[name] = end
    end += data.length
  }
  const taps = kernel[0] * kernel[1] * kernel[2]
  const constants = new addon.Memory(addon.packedSize(taps, inChannels, outChannels, true))
  constants.pack(0, weights, taps, inChannels, outChannels, true)
  const step = {
    ...{ op: 'denseBf16', name: 'case', ...at, packed: -1, inChannels, outChannels, kernel, stride, padding },
    ...{ in: [batch, ...size], out: [batch, ...outOf(each)], ...(each.activated && { activation: 'relu6' }) },
    ...(each.gates && { prologue: 'relu' }),
  }
  const program = new addon.Program({ steps: [step], externals: [], arena: end }, constants)
  await program.run(arena, 1, [], new Uint8Array(1))
  const y = new Float32Array(outputs)
  arena.read(0, y)
  for (const resource of [program, arena, constants]) resource.dispose()
  return y
}

/** The same by plain loops; gates come with a ReLU before the rounding, `activated` with a ReLU6 behind the sum. */
export function plainBf16(each: Bf16Case): Float64Array {
  const { inChannels, outChannels, kernel, stride, padding, batch, size } = each
  const { outputs, x, weights, bias, residual, gates } = materials(each)
  const seen = x.map((value, i) => {
    if (!gates) return toBf16(value)
    const sample = Math.floor(i / (x.length / batch))
    return toBf16(Math.max(0, Math.fround(value * gates[sample * inChannels + (i % inChannels)]!)))
  })
  const rounded = weights.map(toBf16)
  const y = new Float64Array(outputs)
  const [frames, height, width] = outOf(each) as [number, number, number]
  let at = 0
  for (let n = 0; n < batch; n++)
    for (let t = 0; t < frames; t++)
      for (let h = 0; h < height; h++)
        for (let w = 0; w < width; w++)
          for (let c = 0; c < outChannels; c++, at++) {
            let sum = (bias?.[c] ?? 0) + (residual?.[at] ?? 0)
            let tap = 0
            for (let kt = 0; kt < kernel[0]; kt++)
              for (let kh = 0; kh < kernel[1]; kh++)
                for (let kw = 0; kw < kernel[2]; kw++, tap++) {
                  const [it, ih, iw] = [t, h, w].map(
                    (o, axis) => o * stride[axis]! - padding[axis]! + [kt, kh, kw][axis]!,
                  ) as [number, number, number]
                  if (it < 0 || ih < 0 || iw < 0 || it >= size[0] || ih >= size[1] || iw >= size[2]) continue
                  const from = (((n * size[0] + it) * size[1] + ih) * size[2] + iw) * inChannels
                  for (let k = 0; k < inChannels; k++)
                    sum += seen[from + k]! * rounded[(tap * inChannels + k) * outChannels + c]!
                }
            y[at] = each.activated ? Math.min(6, Math.max(0, sum)) : sum
          }
  return y
}
