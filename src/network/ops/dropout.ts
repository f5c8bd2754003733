import { elementwise, type Op, type Unary, weightless } from './op.ts'

export interface DropoutNode extends Unary {
  readonly kind: 'dropout'
  /** The share of values set to zero in training. */
  readonly rate: number
}

export const dropout: Op<DropoutNode> = { ...elementwise, ...weightless }
