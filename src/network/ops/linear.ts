import type { Channels } from '../channels.ts'
import { dense, perChannel } from '../parameters.ts'
import { elementwise, type Op, type Unary, valuesOf } from './op.ts'

/** A linear layer on the channels of every position. Weight [cin, cout]. */
export interface LinearNode extends Unary {
  readonly kind: 'linear'
  readonly out: Channels
  /** Fresh weights evenly within ±1/√cin, as PyTorch's `nn.Linear` leaves them; absent: N(0, 0.01²). */
  readonly uniformInit?: boolean
}

export const linear: Op<LinearNode> = {
  ...elementwise,
  channels: ({ out }) => [out],
  parameters: (node, cut) => [
    { ...dense(node, cut, 'linear', []), ...(node.uniformInit && { start: 'uniform' }) },
    perChannel(node, cut, 'bias', 'bias'),
  ],
  macs: (_, shape, [source]) => valuesOf(shape) * source!.channels,
}
