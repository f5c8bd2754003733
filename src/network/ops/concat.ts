import { commonExtent, type Named, type Op, weightless } from './op.ts'

/** Values side by side on the channel axis. */
export interface ConcatNode extends Named {
  readonly kind: 'concat'
  readonly inputs: readonly string[]
}

export const concat: Op<ConcatNode> = {
  ...weightless,
  inputs: ({ inputs }) => inputs,
  channels: ({ inputs }, of) => inputs.flatMap(of),
  output: (node, sources, place) => ({ shape: commonExtent(node, sources, place) }),
}
