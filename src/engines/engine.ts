/**
 * What an engine is: it turns a sub-network and weights into something that runs. Two engines implement
 * this; nothing else in the program knows how a network is computed.
 */
import type { Inputs } from '../frames/batch.ts'
import type { Network } from '../network/graph.ts'
import type { DecayRule } from '../network/parameters.ts'
import type { Shape, SubNetwork } from '../network/resolve.ts'
import type { BatchNormStatistics, ParameterStore } from '../network/store.ts'
import type { Target } from './loss.ts'
import type { Precision } from './precision.ts'

export type { Target } from './loss.ts'
export type { Precision } from './precision.ts'

/** Bytes become `(byte / 255 − mean) / std`, per RGB channel. */
export interface Normalisation {
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

export interface CompileOptions {
  /** Needed when the inputs are bytes. */
  readonly normalisation?: Normalisation
  /**
   * Statistics that batch norm uses: those of the configuration (inference), or `batch`: mean and biased
   * variance of the batch itself, as in training.
   */
  readonly statistics: BatchNormStatistics | 'batch'
  /** What dense convolutions and linear layers multiply; `float32` by default. */
  readonly precision?: Precision
}

export interface RunOptions {
  /** Names of nodes whose output to return as well. */
  readonly observe?: readonly string[]
  /** Ends the run early: its promise rejects, the plan and the engine stay usable. */
  readonly signal?: AbortSignal
}

export interface RunResult {
  /** [batch, classes], row-major: the mean of the logits over the classifier's positions. */
  readonly logits: Float32Array
  /**
   * [batch, classes], row-major: the softmax of the logits averaged over the classifier's positions, as
   * PySlowFast scores inputs larger than the training size. One position is the common case.
   */
  readonly scores: Float32Array
  /** [batch, classes], row-major: the sigmoid in place of the softmax, for samples that have any number of labels. */
  readonly labelScores: Float32Array
  readonly observed: ReadonlyMap<string, Observed>
}

/** The output of one node, row-major [batch, frames, height, width, channels]. */
export interface Observed {
  readonly batch: number
  readonly shape: Shape
  readonly data: Float32Array
}

/** A compiled sub-network. Whoever compiled it disposes it. */
export interface Plan {
  readonly subNetwork: SubNetwork
  /**
   * @throws MnVideoError `engine` when an input is missing or has the wrong shape; `cancelled` when the signal ends
   * the run
   */
  run(inputs: Inputs, options?: RunOptions): Promise<RunResult>
  dispose(): void
}

/** How weights are updated: stochastic gradient descent with momentum. */
export interface TrainerOptions {
  readonly momentum: number
  readonly nesterov: boolean
  /** Added to the gradient of parameters that decay, times the weight. */
  readonly weightDecay: number
  /** Which parameters decay; `dense` by default. */
  readonly decayRule?: DecayRule
  /** Needed when the inputs are bytes. */
  readonly normalisation?: Normalisation
}

export interface AccumulateOptions {
  /** Multiplies the gradients, not the loss; 1 by default. */
  readonly scale?: number
  /** A whole number that the dropped values follow from; without it nothing is dropped. */
  readonly dropoutSeed?: number
}

/**
 * Trains one set of full-size weights through its sub-networks. Gradients of several sub-networks and batches add
 * up until `step`. Whoever opened it disposes it.
 */
export interface Trainer {
  /**
   * Runs a sub-network forward (batch norm with the batch's own statistics) and backward, and adds the gradients
   * to the full-size ones, at the slices in use.
   *
   * @returns the loss (mean over the batch) and the logits, [batch, classes]
   */
  accumulate(
    subNetwork: SubNetwork,
    inputs: Inputs,
    target: Target,
    options?: AccumulateOptions,
  ): Promise<{ readonly loss: number; readonly logits: Float32Array }>
  /** The gradients since the last step, at full size, by parameter name; valid until the next call. */
  gradients(): ReadonlyMap<string, Float32Array>
  /**
   * Puts others in their place, one for each parameter: the sum over several machines, say. To be called between
   * `accumulate` and `step`, while neither is under way.
   *
   * @throws MnVideoError `usage` naming a parameter that lacks a gradient of its size
   */
  setGradients(gradients: ReadonlyMap<string, Float32Array>): void
  /**
   * One optimiser step: changes the weights in place, says so (`touch`) and zeroes the gradients.
   *
   * @returns the norm of all gradients together, before clipping to `clipNorm`
   */
  step(options: {
    readonly learningRate: number
    readonly clipNorm?: number
  }): Promise<{ readonly gradientNorm: number }>
  /** Velocities of the optimiser by parameter name, at full size, to be saved with the weights and restored. */
  velocities(): ReadonlyMap<string, Float32Array>
  /** The most memory that one `accumulate` takes beside the weights, in bytes. */
  bytesFor(subNetwork: SubNetwork, batch: number): number
  /** Mean and unbiased variance of the batch at every batch norm, for calibration. */
  statistics(subNetwork: SubNetwork, inputs: Inputs): Promise<BatchNormStatistics>
  dispose(): void
}

export interface Engine {
  readonly name: string
  /** For people: versions, backend, threads. */
  readonly description: string
  /** Why what would have been preferred is not used, one line each. */
  readonly skipped?: readonly string[]
  /**
   * Who multiplies bfloat16: the processor's own instruction, or float32 arithmetic on rounded values, which gives the
   * same and is slower. Absent where the engine has float32 alone.
   */
  readonly bf16?: 'native' | 'emulated'
  /**
   * Compiles a sub-network with the weights as they are now.
   *
   * @throws MnVideoError `usage` for a precision that the engine does not have
   */
  compile(subNetwork: SubNetwork, weights: ParameterStore, options: CompileOptions): Promise<Plan>
  /** Starts training weights of a network. */
  openTrainer(network: Network, weights: ParameterStore, options: TrainerOptions): Promise<Trainer>
}

export interface OpenOptions {
  /** Threads of a run, for engines that let one choose; all processors that this process may use by default. */
  readonly threads?: number
  /** One of the engine's backends, for engines that have several; the best that loads by default. */
  readonly backend?: string
}

/** Something that was looked for on this machine. */
export interface Finding {
  readonly what: string
  /** `absent` is done without, `missing` is needed. */
  readonly state: 'ok' | 'absent' | 'missing'
  readonly detail: string
}

/** What an engine is to the program. Each engine's folder ends in one; `index.ts` lists them. */
export interface EngineSpec<N extends string = string> {
  readonly name: N
  /** What whoever has to do without it misses, for messages: `many times faster`. */
  readonly advantage: string
  /** By name, where it has several. */
  readonly backends: readonly string[]
  /** Whether the threads of a run can be chosen. */
  readonly hasThreads: boolean
  /** What its dense layers can multiply. */
  readonly precisions: readonly Precision[]
  /** Why it cannot be used here; undefined where it can, or where only opening it tells. */
  unavailable(): string | undefined
  /** @throws MnVideoError `engine` when it cannot be used here, with the reason */
  open(options: OpenOptions): Promise<Engine>
  /** What `mn-video doctor` tells of it. */
  examine(): Promise<readonly Finding[]>
}
