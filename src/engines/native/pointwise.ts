/** activation(a [+ b]) in training, which sums and activations are. */
import type { ActivationFunction } from '../../network/graph.ts'
import type { Shape } from '../../network/resolve.ts'
import { positionsOf } from './geometry.ts'
import type { TrainingWriter } from './training.ts'

export function trainPointwise(
  w: TrainingWriter,
  shape: Shape,
  node: {
    readonly last: string
    readonly a: string
    readonly b?: string
    readonly activation: ActivationFunction | undefined
  },
): void {
  const { last, a, b, activation } = node
  const fields = {
    a: w.read(a),
    b: b === undefined ? undefined : w.read(b),
    batch: w.batch,
    positions: positionsOf(shape),
    channels: shape.channels,
    activation,
  }
  w.builder.step('pointwise', last, { ...fields, y: w.output(last, shape) })
  w.onBackward(last, (dy) => {
    const da = w.gradientOf(a)
    const db = b === undefined ? undefined : w.gradientOf(b)
    w.builder.step('pointwiseBackward', last, {
      ...fields,
      dy,
      da: da?.value,
      db: db?.value,
      accumulateA: da?.accumulate ?? false,
      accumulateB: db?.accumulate ?? false,
    })
  })
}
