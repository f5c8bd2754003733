import type { Channels } from '../channels.ts'
import { dense, perChannel, sizeOf } from '../parameters.ts'
import { elementwise, type Op, slide, type Unary, valuesOf, type Windowed } from './op.ts'

/** A convolution over all input channels. Weight [kt, kh, kw, cin, cout]. */
export interface ConvNode extends Unary, Windowed {
  readonly kind: 'conv'
  readonly out: Channels
  readonly bias: boolean
}

export const conv: Op<ConvNode> = {
  ...elementwise,
  channels: ({ out }) => [out],
  output: (node, [source], place) => slide(node, source!, place),
  parameters(node, cut) {
    const filter = dense(node, cut, 'conv', node.kernel)
    return node.bias ? [filter, perChannel(node, cut, 'bias', 'bias')] : [filter]
  },
  macs: ({ kernel }, shape, [source]) => valuesOf(shape) * source!.channels * sizeOf(kernel),
}
