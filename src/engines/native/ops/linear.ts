/** A linear layer: a convolution of 1×1×1 with a bias. */
import { inferDense, trainDense } from '../dense.ts'
import { NO_PADDING, UNIT } from '../geometry.ts'
import type { NativeOp } from './op.ts'

const WINDOW = { kernel: UNIT, stride: UNIT, padding: NO_PADDING }

export const linear: NativeOp<'linear'> = {
  infer: (w, resolved) => inferDense(w, resolved, WINDOW),
  train: (w, resolved) => trainDense(w, resolved, WINDOW),
}
