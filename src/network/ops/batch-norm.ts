import { perChannel } from '../parameters.ts'
import { elementwise, type Op, type Unary, weightless } from './op.ts'

export interface BatchNormNode extends Unary {
  readonly kind: 'batchNorm'
  readonly epsilon: number
  /** True for the last one of a residual block: its scale starts at 0 (Goyal et al. 2017, section 5.1). */
  readonly zeroInit: boolean
}

export const batchNorm: Op<BatchNormNode> = {
  ...elementwise,
  ...weightless,
  parameters: (node, cut) => [
    { ...perChannel(node, cut, 'weight', 'scale'), ...(node.zeroInit && { start: 'zero' }) },
    perChannel(node, cut, 'bias', 'shift'),
  ],
}
