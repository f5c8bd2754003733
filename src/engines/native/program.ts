/**
 * Writes programs for the add-on: values and the steps that read and write them. Where each value lies in the
 * arena follows from when it is first written and last read, so that memory is used again as soon as possible.
 */
import type { Addon, NativeMemory, NativeProgram } from './addon.ts'
import type { Ref, Step, StepKind, Steps } from './steps.ts'

/** Floats that a run computes. */
export interface Value {
  readonly kind: 'value'
  readonly name: string
  readonly count: number
}

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

/** 16 floats are a cache line and the widest vector. */
const ALIGNMENT = 16
/**
 * Added between values: two values a multiple of 4 KiB apart would fight for the same lines of the first cache.
 */
const STAGGER = 80

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
    return place(this.#steps, this.#kept).floats
  }

  build(addon: Addon, constants: NativeMemory | undefined, timed: boolean): BuiltProgram {
    const { offsets, floats } = place(this.#steps, this.#kept)
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
}

export interface BuiltProgram {
  readonly program: NativeProgram
  /** Floats of the arena that a run needs. */
  readonly floats: number
  offsetOf(value: Value): number
  readonly steps: readonly Step[]
}

interface Life {
  readonly value: Value
  readonly first: number
  last: number
}

/** Gives every value a place that no value alive at the same time shares; the largest are placed first. */
function place(steps: readonly Step[], kept: ReadonlySet<Value>) {
  const lives = new Map<Value, Life>()
  steps.forEach(({ fields }, index) => {
    for (const field of Object.values(fields as object)) {
      if (!isValue(field)) continue
      const life = lives.get(field)
      if (life) life.last = index
      else lives.set(field, { value: field, first: index, last: index })
    }
  })
  for (const value of kept) lives.get(value)!.last = steps.length

  const offsets = new Map<Value, number>()
  const placed: Life[] = []
  let floats = 0
  for (const life of [...lives.values()].sort((a, b) => b.value.count - a.value.count)) {
    const size = sizeInArena(life.value)
    const neighbours = placed
      .filter((other) => other.first <= life.last && life.first <= other.last)
      .map((other) => ({ start: offsets.get(other.value)!, size: sizeInArena(other.value) }))
      .sort((a, b) => a.start - b.start)
    let start = 0
    for (const neighbour of neighbours) {
      if (start + size <= neighbour.start) break
      start = Math.max(start, neighbour.start + neighbour.size)
    }
    offsets.set(life.value, start)
    placed.push(life)
    floats = Math.max(floats, start + size)
  }
  return { offsets, floats }
}

const isValue = (field: unknown): field is Value =>
  typeof field === 'object' && field !== null && 'kind' in field && field.kind === 'value'

const sizeInArena = ({ count }: Value): number => Math.ceil(count / ALIGNMENT) * ALIGNMENT + STAGGER
