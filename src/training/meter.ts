/** How fast training goes, over its latest steps. */

/** Steps that the figures are taken over. */
const WINDOW = 20

export interface Meter {
  /** Runs a task whose time counts as waiting for data. */
  waiting<T>(task: () => Promise<T>): Promise<T>
  /** Marks the end of a step. */
  step(samples: number): void
  /** Starts the clock anew after time that belongs to no step. */
  skip(): void
  readonly samplesPerSecond: number
  /** Share of the time spent in `waiting`, 0 to 1. */
  readonly waitShare: number
  /** Seconds that a step takes. */
  readonly secondsPerStep: number
}

export function createMeter(now: () => number = () => performance.now() / 1000): Meter {
  let steps: { readonly samples: number; readonly seconds: number; readonly waited: number }[] = []
  let since = now()
  let waited = 0
  const sum = (of: (step: (typeof steps)[number]) => number) =>
    steps.reduce((total, step) => total + of(step), 0)
  const seconds = () =>
    Math.max(
      sum((step) => step.seconds),
      1e-9,
    )
  return {
    async waiting(task) {
      const start = now()
      try {
        return await task()
      } finally {
        waited += now() - start
      }
    },
    step(samples) {
      const end = now()
      steps = [...steps, { samples, seconds: end - since, waited }].slice(-WINDOW)
      since = end
      waited = 0
    },
    skip() {
      since = now()
      waited = 0
    },
    get samplesPerSecond() {
      return sum((step) => step.samples) / seconds()
    },
    get waitShare() {
      return sum((step) => step.waited) / seconds()
    },
    get secondsPerStep() {
      return seconds() / Math.max(1, steps.length)
    },
  }
}
