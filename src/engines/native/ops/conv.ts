/** A dense convolution. */
import { inferDense, trainDense } from '../dense.ts'
import type { NativeOp } from './op.ts'

export const conv: NativeOp<'conv'> = {
  infer: (w, resolved) => inferDense(w, resolved, resolved.node),
  train: (w, resolved) => trainDense(w, resolved, resolved.node),
}
