/** Every kind of node as tfjs computes it: a kind that lacks here does not compile. */
import type { NodeKind } from '../../../network/graph.ts'
import type { ResolvedNode } from '../../../network/resolve.ts'
import { activation } from './activation.ts'
import { add } from './add.ts'
import { batchNorm } from './batch-norm.ts'
import { channelwiseConv } from './channelwise-conv.ts'
import { concat } from './concat.ts'
import { conv } from './conv.ts'
import { dropout } from './dropout.ts'
import { gate } from './gate.ts'
import { globalPool } from './global-pool.ts'
import { input } from './input.ts'
import { linear } from './linear.ts'
import { maxPool } from './max-pool.ts'
import type { TfjsOp } from './op.ts'
import { resample } from './resample.ts'

const OPS: { readonly [K in NodeKind]: TfjsOp<K> } = {
  input,
  conv,
  channelwiseConv,
  batchNorm,
  activation,
  add,
  concat,
  gate,
  maxPool,
  globalPool,
  resample,
  dropout,
  linear,
}

/** How a node is computed. */
export function opOf({ node }: ResolvedNode): TfjsOp<NodeKind> {
  // The table pairs each kind with its own nodes, which a lookup by a node's kind cannot say.
  return OPS[node.kind] as unknown as TfjsOp<NodeKind>
}
