/** Where a program's time goes: milliseconds and, where a step multiplies, GFLOP/s. For benchmarks and tuning. */
import type { BuiltProgram } from './program.ts'
import type { Step } from './steps.ts'

export interface StepProfile {
  readonly op: string
  readonly name: string
  /** Summed over the runs so far. */
  readonly milliseconds: number
  /** Floating-point operations of one run; 0 for steps that only move data. */
  readonly flops: number
}

export function summarise({ program, steps }: BuiltProgram): StepProfile[] {
  const timings = program.timings()
  return steps.map((step, i) => ({
    op: step.op,
    name: step.name,
    milliseconds: (timings[i] ?? 0) / 1e6,
    flops: flopsOf(step),
  }))
}

function flopsOf({ op, fields }: Step): number {
  switch (op) {
    case 'dense':
    case 'denseBf16': {
      const { in: from, out, kernel, inner = fields.inChannels, outChannels, transposed } = fields
      return 2 * product(transposed ? from : out) * product(kernel) * inner * outChannels
    }
    case 'denseWeightGradient': {
      const { out, kernel, inner = fields.inChannels, outChannels } = fields
      return 2 * product(out) * product(kernel) * inner * outChannels
    }
    case 'winograd':
    case 'winogradWeightGradient': {
      // Those of the convolution, not the fewer ones that are done.
      const { extent, temporal, inChannels, outChannels } = fields
      return 2 * product(extent) * (temporal ? 3 : 9) * inChannels * outChannels
    }
    case 'channelwise':
      return (
        2 * product(fields.transposed ? fields.in : fields.out) * product(fields.kernel) * fields.channels
      )
    case 'channelwiseWeightGradient':
      return 2 * product(fields.out) * product(fields.kernel) * fields.channels
    default:
      return 0
  }
}

const product = (axes: readonly number[]): number => axes.reduce((a, b) => a * b, 1)
