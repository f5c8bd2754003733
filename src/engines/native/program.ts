/** Collects a program for the add-on: values, and the steps that read and write them. */
import { type Arena, placeValues, type Value } from '../planning/arena.ts'
import type { Addon, NativeMemory, NativeProgram } from './addon.ts'
import type { Ref, Step, StepKind, Steps } from './steps.ts'

/** Floats that a plan keeps: weights, biases, statistics. */
export interface Constant {
  readonly kind: 'constant'
  readonly start: number
  readonly count: number
}

/** Floats of the caller's, which steps read or write where they lie. */
export interface External {
  readonly kind: 'external'
  readonly index: number
  readonly count: number
}

export class ProgramBuilder {
  readonly #steps: Step[] = []
  readonly #externals: number[] = []
  readonly #kept = new Set<Value>()

  value(name: string, count: number): Value {
    return { kind: 'value', name, count }
  }

  /** Keeps a value until the end of the run, for the caller to read. */
  keep(value: Value): void {
    this.#kept.add(value)
  }

  /** Declares an external of at least `count` values and returns its index. */
  external(count: number): number {
    return this.#externals.push(count) - 1
  }

  step<K extends StepKind>(op: K, name: string, fields: Steps[K]): void {
    // The pair is of one kind, which the union of pairs cannot say.
    this.#steps.push({ op, name, fields } as Step)
  }

  get steps(): readonly Step[] {
    return this.#steps
  }

  /** Floats of the arena that a run of the steps so far needs. */
  get floats(): number {
    return this.#place().floats
  }

  build(addon: Addon, constants: NativeMemory | undefined, timed: boolean): BuiltProgram {
    const { offsets, floats } = this.#place()
    const encode = (field: unknown): unknown => {
      if (typeof field !== 'object' || field === null || Array.isArray(field)) return field
      const placed = field as Ref
      if (placed.kind === 'constant') return -1 - placed.start
      return placed.kind === 'external' ? addon.limits.firstExternal - placed.index : offsets.get(placed)!
    }
    const steps = this.#steps.map(({ op, name, fields }) => ({
      op,
      name,
      ...Object.fromEntries(Object.entries(fields as object).map(([key, field]) => [key, encode(field)])),
    }))
    const program = new addon.Program({ steps, externals: this.#externals, arena: floats, timed }, constants)
    return { program, floats, offsetOf: (value) => offsets.get(value)!, steps: this.#steps }
  }

  #place(): Arena {
    const uses = this.#steps.map(({ fields }) => Object.values(fields as object).filter(isValue))
    return placeValues(uses, this.#kept)
  }
}

export interface BuiltProgram {
  readonly program: NativeProgram
  /** Floats of the arena that a run needs. */
  readonly floats: number
  offsetOf(value: Value): number
  readonly steps: readonly Step[]
}

const isValue = (field: unknown): field is Value =>
  typeof field === 'object' && field !== null && 'kind' in field && field.kind === 'value'
