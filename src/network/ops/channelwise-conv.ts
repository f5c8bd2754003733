import { perChannel, sizeOf } from '../parameters.ts'
import { elementwise, type Op, slide, type Unary, valuesOf, type Windowed } from './op.ts'

/** A convolution of each channel by itself (depthwise, groups = channels). Weight [kt, kh, kw, c]. */
export interface ChannelwiseConvNode extends Unary, Windowed {
  readonly kind: 'channelwiseConv'
}

export const channelwiseConv: Op<ChannelwiseConvNode> = {
  ...elementwise,
  output: (node, [source], place) => slide(node, source!, place),
  parameters: (node, cut) => [perChannel(node, cut, 'weight', 'channelwise', node.kernel)],
  macs: ({ kernel }, shape) => valuesOf(shape) * sizeOf(kernel),
}
