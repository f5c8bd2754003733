/** Where the values of a program lie in one block of memory, which is used again as soon as a value has been read last. */

/** Floats that a run computes. */
export interface Value {
  readonly kind: 'value'
  readonly name: string
  readonly count: number
}

export interface Arena {
  readonly offsets: ReadonlyMap<Value, number>
  /** Floats of the whole block. */
  readonly floats: number
}

interface Life {
  readonly value: Value
  readonly first: number
  last: number
}

/** 16 floats are a cache line and the widest vector. */
const ALIGNMENT = 16
/** Added between values: two values a multiple of 4 KiB apart would fight for the same lines of the first cache. */
const STAGGER = 80

/**
 * Gives every value a place that no value alive at the same time shares; the largest are placed first.
 *
 * @param uses the values that each step reads or writes, in execution order
 * @param kept values that live until the end
 */
export function placeValues(uses: readonly (readonly Value[])[], kept: Iterable<Value>): Arena {
  const lives = new Map<Value, Life>()
  uses.forEach((values, index) => {
    for (const value of values) {
      const life = lives.get(value)
      if (life) life.last = index
      else lives.set(value, { value, first: index, last: index })
    }
  })
  for (const value of kept) lives.get(value)!.last = uses.length

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

const sizeInArena = ({ count }: Value): number => Math.ceil(count / ALIGNMENT) * ALIGNMENT + STAGGER
