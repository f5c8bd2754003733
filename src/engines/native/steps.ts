/**
 * The steps that programs for the add-on consist of, with their fields: what `native/src/steps/` reads. Counts are in
 * floats unless said otherwise; a field that is left out counts as 0, false or nothing.
 */
import type { ActivationFunction, Triple } from '../../network/graph.ts'
import type { Value } from '../planning/arena.ts'
import type { Constant, External } from './program.ts'

/** Floats that a step reads or writes. */
export type Ref = Value | Constant | External
type Optional = Ref | undefined

/** [batch, frames, height, width]. */
type Extent = readonly number[]

interface Windowed {
  readonly in: Extent
  readonly out: Extent
  readonly kernel: Triple
  readonly stride: Triple
  readonly padding: Triple
}

interface Rows {
  readonly rows: number
  readonly channels: number
}

interface Positions {
  readonly batch: number
  readonly positions: number
  readonly channels: number
}

/** Fields of what computes gradients backwards, and adds to what is there. */
interface Backward {
  readonly backward?: boolean
  readonly accumulate?: boolean
}

interface Dense extends Windowed {
  readonly x: Ref
  readonly y: Ref
  readonly packed: Ref
  readonly inChannels: number
  /** Floats that a tap reads: more than inChannels where neighbouring columns are read as one run. */
  readonly inner?: number
  readonly outChannels: number
  readonly bias?: Optional
  readonly residual?: Optional
  readonly gates?: Optional
  readonly activation?: ActivationFunction | undefined
  /** An activation on x, before the product. */
  readonly prologue?: ActivationFunction | undefined
  /** The gradient of the input. */
  readonly transposed?: boolean
  readonly accumulate?: boolean
}

/** A convolution by Winograd's filtering: 1×3×3, or 3×1×1 where temporal. */
interface WinogradSizes {
  readonly extent: Extent
  readonly inChannels: number
  readonly outChannels: number
  readonly temporal: boolean
  readonly threads: number
  readonly scratch: Ref
}

export interface Steps {
  readonly dense: Dense
  readonly denseBf16: Dense
  readonly packDense: {
    readonly weights: Ref
    readonly packed: Ref
    readonly taps: number
    readonly in: number
    readonly out: number
    readonly transposed?: boolean
  }
  readonly denseWeightGradient: Windowed & {
    readonly x: Ref
    readonly dy: Ref
    readonly dw: Ref
    readonly inChannels: number
    readonly inner?: number
    readonly outChannels: number
    readonly accumulate?: boolean
  }
  readonly winograd: WinogradSizes & {
    readonly x: Ref
    readonly y: Ref
    readonly packed: Ref
    readonly bias?: Optional
    readonly residual?: Optional
    readonly activation?: ActivationFunction | undefined
    readonly accumulate?: boolean
  }
  readonly packWinograd: {
    readonly weights: Ref
    readonly packed: Ref
    readonly in: number
    readonly out: number
    readonly temporal: boolean
    readonly transposed?: boolean
  }
  readonly winogradWeightGradient: WinogradSizes & {
    readonly x: Ref
    readonly dy: Ref
    readonly dw: Ref
    readonly accumulate?: boolean
  }
  readonly channelwise: Windowed & {
    readonly x: Ref
    readonly y: Ref
    readonly channels: number
    readonly weights: Ref
    readonly bias?: Optional
    /** Sums of the output's rows, for a mean that follows. */
    readonly sums?: Optional
    readonly activation?: ActivationFunction | undefined
    readonly transposed?: boolean
    readonly accumulate?: boolean
  }
  readonly channelwiseWeightGradient: Windowed & {
    readonly x: Ref
    readonly dy: Ref
    readonly dw: Ref
    readonly channels: number
  }
  readonly moments: Rows & { readonly x: Ref; readonly mean: Ref; readonly variance: Ref }
  readonly normalise: Rows & {
    readonly x: Ref
    readonly y: Ref
    readonly residual?: Optional
    readonly mean: Ref
    readonly variance: Ref
    readonly scale: Ref
    readonly shift: Ref
    readonly epsilon: number
    readonly activation?: ActivationFunction | undefined
  }
  readonly normaliseBackward: Rows & {
    readonly x: Ref
    readonly dy: Ref
    readonly dx: Ref
    readonly residual?: Optional
    readonly dresidual?: Optional
    readonly mean: Ref
    readonly variance: Ref
    readonly scale: Ref
    readonly shift: Ref
    readonly dscale: Ref
    readonly dshift: Ref
    readonly epsilon: number
    readonly activation?: ActivationFunction | undefined
    readonly accumulateResidual?: boolean
  }
  /** activation(a + b), or activation(a · gates). */
  readonly pointwise: Positions & {
    readonly a: Ref
    readonly b?: Optional
    readonly gates?: Optional
    readonly y: Ref
    readonly activation?: ActivationFunction | undefined
  }
  readonly pointwiseBackward: Positions & {
    readonly a?: Optional
    readonly b?: Optional
    readonly gates?: Optional
    readonly dy: Ref
    readonly da?: Optional
    readonly db?: Optional
    readonly dgates?: Optional
    readonly activation?: ActivationFunction | undefined
    readonly accumulateA?: boolean
    readonly accumulateB?: boolean
  }
  readonly copyChannels: {
    readonly x: Ref
    readonly y: Ref
    readonly rows: number
    readonly xChannels: number
    readonly yChannels: number
    readonly xStart?: number
    readonly yStart?: number
    readonly count: number
    readonly accumulate?: boolean
  }
  /** With y forward, with dx and dy backward. */
  readonly maxPool: Windowed & {
    readonly x: Ref
    readonly y?: Optional
    readonly dx?: Optional
    readonly dy?: Optional
    readonly channels: number
    readonly accumulate?: boolean
  }
  /** Backward y is the gradient that arrives, x the one that is written. */
  readonly averagePool: Windowed & Backward & { readonly x: Ref; readonly y: Ref; readonly channels: number }
  readonly reduceParts: {
    readonly x: Ref
    readonly y: Ref
    readonly batch: number
    readonly parts: number
    readonly channels: number
    readonly factor: number
  }
  readonly resample: Backward & {
    readonly x: Ref
    readonly y: Ref
    readonly in: Extent
    readonly out: Extent
    readonly channels: number
  }
  readonly dropout: {
    readonly x: Ref
    readonly y: Ref
    readonly count: number
    /** The external that has the seed. */
    readonly seed: number
    readonly rate: number
    readonly stream: number
    readonly accumulate?: boolean
  }
  readonly input: {
    readonly y: Ref
    readonly in: Extent
    readonly borderHeight?: number
    readonly borderWidth?: number
    /** The external that has the frames. */
    readonly external: number
    readonly factor: readonly number[]
    readonly offset: readonly number[]
  }
  /** From a full-size parameter to the values in use; scatter: adds them back. */
  readonly slice: {
    readonly external: number
    readonly value: Ref
    readonly taps: number
    readonly fullIn: number
    readonly fullOut: number
    readonly inStart: readonly number[]
    readonly inCount: readonly number[]
    readonly outStart: readonly number[]
    readonly outCount: readonly number[]
    readonly scatter: boolean
  }
  readonly loss: {
    readonly logits: Ref
    readonly loss: Ref
    readonly dlogits: Ref
    readonly target: number
    readonly scale: number
    readonly batch: number
    readonly positions: number
    readonly classes: number
    /** Kullback–Leibler divergence: the target's own entropy is taken off. */
    readonly kl: boolean
  }
  readonly squareSum: {
    readonly external: number
    readonly count: number
    readonly norm: Ref
    readonly first: boolean
    readonly finish: boolean
  }
  readonly descend: {
    readonly parameter: number
    readonly gradient: number
    readonly velocity: number
    readonly scalars: number
    readonly norm: Ref
    readonly count: number
    readonly decay: boolean
    readonly nesterov: boolean
  }
  readonly multiplyAdds: { readonly y: Ref; readonly items: number; readonly factor: number }
  readonly stream: {
    readonly a: Ref
    readonly b: Ref
    readonly y: Ref
    readonly count: number
    readonly factor: number
  }
}

export type StepKind = keyof Steps

/** One step of a program. */
export type Step = {
  readonly [K in StepKind]: { readonly op: K; readonly name: string; readonly fields: Steps[K] }
}[StepKind]
