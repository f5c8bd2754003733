/** Stochastic gradient descent on the host, for engines that do not bring their own. */
import type { Network } from '../network/graph.ts'
import { decays } from '../network/parameters.ts'
import { type ParameterStore, parametersOf } from '../network/store.ts'
import type { TrainerOptions } from './engine.ts'

/**
 * PyTorch's SGD: with weight decay λ, momentum μ and rate η, `g += λw` (where the parameter decays), `b = μb + g`
 * (`b = g` at first), `w -= η(g + μb)` with Nesterov, `w -= ηb` without.
 */
export function createSgd(
  network: Network,
  weights: ParameterStore,
  { momentum, nesterov, weightDecay, decayRule = 'dense' }: TrainerOptions,
) {
  const parameters = parametersOf(network)
  const zeros = () =>
    new Map(parameters.map(({ name }) => [name, new Float32Array(weights.values.get(name)!.length)]))
  const gradients = zeros()
  // Starting from zero, b = μ·0 + g is the first step's b = g.
  const velocities = zeros()
  return {
    /** Full-size gradients by parameter name, to add to. */
    gradients,
    /** The momentum buffers by parameter name. */
    velocities,
    step({ learningRate, clipNorm }: { readonly learningRate: number; readonly clipNorm?: number }) {
      let squares = 0
      for (const gradient of gradients.values()) for (const value of gradient) squares += value * value
      const gradientNorm = Math.sqrt(squares)
      const factor = clipNorm !== undefined && gradientNorm > clipNorm ? clipNorm / gradientNorm : 1
      for (const { name, role } of parameters) {
        const w = weights.of(name, gradients.get(name)!.length)
        const gradient = gradients.get(name)!
        const buffer = velocities.get(name)!
        const lambda = decays(role, decayRule) ? weightDecay : 0
        for (let i = 0; i < w.length; i++) {
          const g = gradient[i]! * factor + lambda * w[i]!
          buffer[i] = momentum * buffer[i]! + g
          w[i]! -= learningRate * (nesterov ? g + momentum * buffer[i]! : buffer[i]!)
        }
        gradient.fill(0)
      }
      weights.touch()
      return { gradientNorm }
    },
  }
}
