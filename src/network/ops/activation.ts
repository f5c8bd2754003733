import { elementwise, type Op, type Unary, weightless } from './op.ts'

export type ActivationFunction = 'relu' | 'relu6' | 'swish' | 'sigmoid'

export interface ActivationNode extends Unary {
  readonly kind: 'activation'
  readonly activation: ActivationFunction
}

export const activation: Op<ActivationNode> = { ...elementwise, ...weightless }
