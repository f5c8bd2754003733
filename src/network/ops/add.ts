import { commonExtent, type Named, type Op, weightless } from './op.ts'

/** The sum of two values of equal shape. */
export interface AddNode extends Named {
  readonly kind: 'add'
  readonly inputs: readonly [string, string]
}

export const add: Op<AddNode> = {
  ...weightless,
  inputs: ({ inputs }) => inputs,
  channels: ({ inputs: [first] }, of) => of(first),
  output: (node, sources, place) => ({ shape: commonExtent(node, sources, place) }),
}
