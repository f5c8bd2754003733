/** Values on their way from who makes them to one loop that takes them. */

export class Channel<T> implements AsyncIterableIterator<T> {
  readonly #waiting: T[] = []
  readonly #limit: number
  readonly #leave: () => void
  #wake: (() => void) | undefined
  #end: { readonly error?: unknown } | undefined

  /**
   * @param limit values that wait at most; the oldest goes
   * @param leave called when the loop is left early
   */
  constructor(limit: number, leave: () => void = () => {}) {
    this.#limit = limit
    this.#leave = leave
  }

  push(value: T): void {
    if (this.#end) return
    this.#waiting.push(value)
    if (this.#waiting.length > this.#limit) this.#waiting.shift()
    this.#wake?.()
  }

  /** Nothing follows; with an error the loop fails, after what waits. */
  close(end: { readonly error?: unknown } = {}): void {
    this.#end ??= end
    this.#wake?.()
  }

  async next(): Promise<IteratorResult<T>> {
    for (;;) {
      const value = this.#waiting.shift()
      if (value !== undefined) return { done: false, value }
      if (this.#end) {
        if ('error' in this.#end && this.#end.error !== undefined) {
          const { error } = this.#end
          this.#end = {}
          throw error
        }
        return { done: true, value: undefined }
      }
      await new Promise<void>((wake) => {
        this.#wake = wake
      })
      this.#wake = undefined
    }
  }

  async return(): Promise<IteratorResult<T>> {
    this.close()
    this.#waiting.length = 0
    this.#leave()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
