/** Where a program's time goes: milliseconds and, where a step multiplies, GFLOP/s. For benchmarks and tuning. */
import type { BuiltProgram, Fields } from './program.ts'

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
  return steps.map(({ op, name, fields }, i) => ({
    op,
    name,
    milliseconds: (timings[i] ?? 0) / 1e6,
    flops: flopsOf(op, fields),
  }))
}

function flopsOf(op: string, fields: Fields): number {
  const product = (key: string) => (fields[key] as readonly number[]).reduce((a, b) => a * b, 1)
  switch (op) {
    case 'dense':
    case 'denseBf16':
    case 'denseWeightGradient': {
      const positions = product(fields.transposed ? 'in' : 'out')
      return 2 * positions * product('kernel') * (fields.depth as number) * (fields.outChannels as number)
    }
    case 'winograd':
    case 'winogradWeightGradient':
      // Those of the convolution, not the fewer ones that are done.
      return (
        2 *
        product('extent') *
        (fields.temporal ? 3 : 9) *
        (fields.inChannels as number) *
        (fields.outChannels as number)
      )
    case 'channelwise':
    case 'channelwiseWeightGradient':
      return 2 * product(fields.transposed ? 'in' : 'out') * product('kernel') * (fields.channels as number)
    default:
      return 0
  }
}
