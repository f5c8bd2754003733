import { elementwise, type Op, slide, type Unary, type Windowed, weightless } from './op.ts'

export interface MaxPoolNode extends Unary, Windowed {
  readonly kind: 'maxPool'
}

export const maxPool: Op<MaxPoolNode> = {
  ...elementwise,
  ...weightless,
  output: (node, [source], place) => slide(node, source!, place),
}
