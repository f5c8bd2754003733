import { elementwise, type Op, type Unary, weightless } from './op.ts'

/** Multiplies every channel by its gate, one number per sample and channel (squeeze-and-excitation). */
export interface GateNode extends Unary {
  readonly kind: 'gate'
  readonly gate: string
}

export const gate: Op<GateNode> = {
  ...elementwise,
  ...weightless,
  inputs: ({ input, gate }) => [input, gate],
}
