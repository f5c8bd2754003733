import { elementwise, type Op, type Unary, weightless } from './op.ts'

/** Adaptive average pooling to the frames × height × width of another node; the identity when equal. */
export interface ResampleNode extends Unary {
  readonly kind: 'resample'
  readonly like: string
}

export const resample: Op<ResampleNode> = {
  ...elementwise,
  ...weightless,
  inputs: ({ input, like }) => [input, like],
  output: (_, [, like]) => ({ shape: like! }),
}
