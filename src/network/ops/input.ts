import type { Channels } from '../channels.ts'
import { type Named, type Op, weightless } from './op.ts'

/**
 * Frames to classify. `clip` is the input whose frames and size follow the configuration. `whole` is
 * SlowFast's fast pathway: `frames` frames whatever the configuration says, at the training size or,
 * above it, at the configuration's.
 */
export type InputNode = Named & { readonly kind: 'input'; readonly channels: Channels } & (
    | { readonly follows: 'clip' }
    | { readonly follows: 'whole'; readonly frames: number }
  )

export const input: Op<InputNode> = {
  ...weightless,
  inputs: () => [],
  channels: ({ channels }) => [channels],
  output(node, _, { network, configuration }) {
    if (node.follows === 'clip') {
      const { frames, size } = configuration
      return { shape: { frames, height: size, width: size } }
    }
    const size = Math.max(configuration.size, network.size)
    return { shape: { frames: node.frames, height: size, width: size } }
  },
}
