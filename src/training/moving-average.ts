/** The exponential moving average of the weights (Polyak and Juditsky 1992), kept beside them. */
import type { Network } from '../network/graph.ts'
import { ParameterStore } from '../network/store.ts'

export interface MovingAverage {
  readonly weights: ParameterStore
  /** Takes in the weights as they are after a step. */
  update(): void
}

/**
 * `average = decay · average + (1 − decay) · weights` after every step.
 *
 * @param start the average so far, where training is resumed; else the weights themselves
 */
export function movingAverage(
  network: Network,
  weights: ParameterStore,
  decay: number,
  start: ReadonlyMap<string, Float32Array> = weights.values,
): MovingAverage {
  const average = new ParameterStore(
    network,
    new Map([...start].map(([name, values]) => [name, Float32Array.from(values)])),
  )
  return {
    weights: average,
    update() {
      for (const [name, values] of weights.values) {
        const kept = average.values.get(name)!
        for (let i = 0; i < kept.length; i++) kept[i]! += (1 - decay) * (values[i]! - kept[i]!)
      }
      average.touch()
    },
  }
}
