/** What the engine needs to know of a kind of node: the steps that compute it, forward and backward. */
import type { NodeKind, NodeOf } from '../../../network/graph.ts'
import type { ResolvedNode } from '../../../network/resolve.ts'
import type { InferenceWriter } from '../inference.ts'
import type { TrainingWriter } from '../training.ts'

export interface NativeOp<K extends NodeKind> {
  /** Writes the steps of inference, with what they take along of the nodes behind. */
  infer(w: InferenceWriter, resolved: ResolvedNode<NodeOf<K>>): void
  /** Writes the forward steps of training, and leaves what writes the backward ones (`onBackward`). */
  train(w: TrainingWriter, resolved: ResolvedNode<NodeOf<K>>): void
}
