/** Batch norm that no convolution has folded in: with statistics that are known, or the batch's own. */
import { positionsOf } from '../geometry.ts'
import type { NativeOp } from './op.ts'

export const batchNorm: NativeOp<'batchNorm'> = {
  infer(w, resolved) {
    const { node, shape } = resolved
    const { channels } = shape
    const rows = w.batch * positionsOf(shape)
    const x = w.read(node.input)
    const moment = (which: 'mean' | 'variance') =>
      w.statistics === 'batch'
        ? w.builder.value(`${node.name} ${which}`, channels)
        : w.constants.plain(`${node.name}.${which}`, channels, () => w.knownStatistics.get(node.name)![which])
    const moments = { mean: moment('mean'), variance: moment('variance') }
    if (w.statistics === 'batch') w.builder.step('moments', node.name, { x, ...moments, rows, channels })
    const { last, activation } = w.chain(resolved)
    const { epsilon } = node
    const y = w.output(last, shape)
    const fields = { x, y, ...moments, ...w.affineOf(resolved), rows, channels, epsilon, activation }
    w.builder.step('normalise', last, fields)
  },

  /** Takes along a residual sum and an activation behind it. */
  train(w, resolved) {
    const { node, shape, parameters } = resolved
    const { channels } = shape
    const rows = w.batch * positionsOf(shape)
    const { last, residual, activation } = w.chain(resolved, { residual: true })
    const x = w.read(node.input)
    const mean = w.builder.value(`${node.name} mean`, channels)
    const variance = w.builder.value(`${node.name} variance`, channels)
    w.moments.push({ name: node.name, mean, variance, rows })
    if (!w.backwards) for (const value of [mean, variance]) w.builder.keep(value)
    const [scale, shift] = parameters
    const fields = {
      x,
      mean,
      variance,
      scale: w.gather(scale!),
      shift: w.gather(shift!),
      residual: residual === undefined ? undefined : w.read(residual),
      rows,
      channels,
      epsilon: node.epsilon,
      activation,
    }
    w.builder.step('moments', node.name, { x, mean, variance, rows, channels })
    w.builder.step('normalise', last, { ...fields, y: w.output(last, shape) })
    w.onBackward(last, (dy) => {
      const dscale = w.builder.value(`gradient of ${scale!.name}`, channels)
      const dshift = w.builder.value(`gradient of ${shift!.name}`, channels)
      const dresidual = residual === undefined ? undefined : w.gradientOf(residual)
      const dx = w.gradientOf(node.input)!
      // The step cannot add to dx: a part of its own is added afterwards.
      const direct = dx.accumulate
        ? w.builder.value(`part of gradient of ${node.input}`, dx.value.count)
        : dx.value
      w.builder.step('normaliseBackward', last, {
        ...fields,
        dy,
        dx: direct,
        dscale,
        dshift,
        dresidual: dresidual?.value,
        accumulateResidual: dresidual?.accumulate ?? false,
      })
      if (dx.accumulate) {
        const { count } = dx.value
        const whole = { rows: 1, xChannels: count, yChannels: count, count, accumulate: true }
        w.builder.step('copyChannels', `gradient of ${node.input}`, { x: direct, y: dx.value, ...whole })
      }
      w.scatter(scale!, dscale)
      w.scatter(shift!, dshift)
    })
  },
}
