import type { Triple } from '../graph.ts'
import { elementwise, type Op, type Unary, weightless } from './op.ts'

/**
 * The mean over all frames and positions; with `window`, over all frames and at most `window` × `window`
 * positions at stride 1, so that an input larger than the training size gives several positions.
 */
export interface GlobalPoolNode extends Unary {
  readonly kind: 'globalPool'
  readonly window?: number
}

export const globalPool: Op<GlobalPoolNode> = {
  ...elementwise,
  ...weightless,
  output({ window }, [source]) {
    const { frames, height, width } = source!
    const kernel: Triple = [frames, Math.min(height, window ?? height), Math.min(width, window ?? width)]
    return { shape: { frames: 1, height: height - kernel[1] + 1, width: width - kernel[2] + 1 }, kernel }
  },
}
