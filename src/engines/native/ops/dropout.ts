/** Dropout, which only training steps do; elsewhere another name of the input. */
import { countOf } from '../geometry.ts'
import type { NativeOp } from './op.ts'

export const dropout: NativeOp<'dropout'> = {
  infer(w, { node }) {
    w.alias(node.name, node.input)
  },

  train(w, { node, shape }) {
    if (!w.backwards) return w.alias(node.name, node.input)
    const count = countOf(w.batch, shape)
    const fields = { count, seed: w.external.dropout, rate: node.rate, stream: streamOf(node.name) }
    const x = w.read(node.input)
    w.builder.step('dropout', node.name, { ...fields, x, y: w.output(node.name, shape) })
    w.onBackward(node.name, (dy) => {
      const dx = w.gradientOf(node.input)
      if (!dx) return
      const step = { ...fields, x: dy, y: dx.value, accumulate: dx.accumulate }
      w.builder.step('dropout', `${node.name} backward`, step)
    })
  },
}

/** Different dropout nodes drop different values. */
const streamOf = (name: string): number =>
  [...name].reduce((hash, character) => (Math.imul(hash, 31) + character.charCodeAt(0)) >>> 1, 7)
