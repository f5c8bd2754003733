/**
 * The forward goldens as one table of cases: each network at small sizes, with the logits and stage statistics
 * that PyTorch computed in double precision. Every engine must match them.
 */
import { expect, it } from 'vitest'
import type { Engine, Observed } from '../../src/engines/engine.ts'
import { toInputs } from '../../src/frames/inputs.ts'
import { mobilenetV1 } from '../../src/models/mobilenet-v1.ts'
import { mobilenetV2 } from '../../src/models/mobilenet-v2.ts'
import { resnet } from '../../src/models/resnet.ts'
import { slow } from '../../src/models/slow.ts'
import { slowfast } from '../../src/models/slowfast.ts'
import { wideResnet } from '../../src/models/wide-resnet.ts'
import { x3d } from '../../src/models/x3d.ts'
import type { Network } from '../../src/network/graph.ts'
import { resolve } from '../../src/network/resolve.ts'
import { formulaInput, formulaStatistics, formulaWeights } from './formula-weights.ts'
import { readReference } from './reference.ts'

interface Golden {
  inputShape: number[]
  slowFrameIndices?: number[]
  salt: string
  width: number
  logits: number[][]
  softmaxMean?: number[][]
  stages: Record<string, { shape: number[]; mean: number; std: number; absMax: number }>
  macsPerSample: number
  activeParams: number
}
interface Goldens {
  eval3d: Record<string, Golden>
  train3d: Record<string, Record<string, Golden>>
  train2d: Record<string, Record<string, Golden>>
}

export interface ForwardCase {
  readonly title: string
  readonly network: () => Network
  readonly statistics: 'running' | 'batch'
  readonly golden: Golden
}

const classes = 10

const NETWORKS: Record<string, () => Network> = {
  x3d_small: () => x3d({ classes, frames: 4, size: 64 }),
  // The golden's head keeps the window of a 64-pixel training crop.
  x3d_small_fullconv: () => x3d({ classes, frames: 4, size: 64 }),
  x3d_m: () => x3d({ classes, frames: 16, size: 96 }),
  slow_r50_8x8: () => slow({ classes, frames: 8, size: 64 }),
  slowfast_r50_4x16: () => slowfast({ classes, frames: 4, size: 64, alpha: 8 }),
  mobilenet_v1: () => mobilenetV1({ classes, size: 64 }),
  mobilenet_v2: () => mobilenetV2({ classes, size: 64 }),
  resnet50: () => resnet({ classes, size: 64, depth: 50 }),
  wrn28_10: () => wideResnet({ classes, size: 32, depth: 28, widenFactor: 10 }),
}

export function forwardCases(): ForwardCase[] {
  const { eval3d, train3d, train2d } = readReference<Goldens>('forward-golden.json')
  const evaluation = Object.entries(eval3d).map(([name, golden]) => ({
    title: `${name}, running statistics`,
    network: NETWORKS[name]!,
    statistics: 'running' as const,
    golden,
  }))
  const training = Object.entries({ ...train3d, ...train2d }).flatMap(([name, widths]) =>
    Object.values(widths).map((golden) => ({
      title: `${name} at width ${golden.width}, batch statistics`,
      network: NETWORKS[name]!,
      statistics: 'batch' as const,
      golden,
    })),
  )
  return [...evaluation, ...training]
}

/** Declares one test per case. */
export function testForwardGoldens(openEngine: () => Promise<Engine>, cases = forwardCases()): void {
  it.each(cases)('$title', { timeout: 30 * 60_000 }, async (forwardCase) => {
    const { golden } = forwardCase
    const network = forwardCase.network()
    const clip = formulaInput(`${golden.salt}/input`, golden.inputShape)
    const slowFrames = golden.slowFrameIndices
    const configuration = {
      width: golden.width,
      frames: slowFrames?.length ?? clip.frames,
      size: clip.height,
    }
    const subNetwork = resolve(network, configuration)
    expect(subNetwork.macs).toBe(golden.macsPerSample)
    expect(subNetwork.params).toBe(golden.activeParams)

    const engine = await openEngine()
    const plan = await engine.compile(subNetwork, formulaWeights(network, golden.salt), {
      statistics: forwardCase.statistics === 'batch' ? 'batch' : formulaStatistics(network, golden.salt),
    })
    try {
      const stages = new Map(Object.keys(golden.stages).map((stage) => [stage, stageOutput(network, stage)]))
      const result = await plan.run(toInputs(network, configuration, clip), { observe: [...stages.values()] })

      const logits = golden.logits.flat()
      const largest = Math.max(...logits.map(Math.abs))
      logits.forEach((logit, i) => {
        expect(Math.abs(result.logits[i]! - logit)).toBeLessThan(1e-3 * largest)
      })
      golden.softmaxMean?.flat().forEach((score, i) => {
        expect(result.scores[i]!).toBeCloseTo(score, 5)
      })
      for (const [stage, expected] of Object.entries(golden.stages)) {
        const observed = result.observed.get(stages.get(stage)!)!
        checkStage(stage, observed, expected)
      }
    } finally {
      plan.dispose()
    }
  })
}

const VIDEO_STAGES: Record<string, string> = {
  'stem.slowFused': 'blocks.0.multipathway_fusion',
  'res2.slowFused': 'blocks.1.multipathway_fusion',
  'res3.slowFused': 'blocks.2.multipathway_fusion',
  'res4.slowFused': 'blocks.3.multipathway_fusion',
  headFeatures: 'blocks.5.pool.post_act',
}

/** The node whose output a golden's stage describes: the last of the stage, or of the named module. */
function stageOutput(network: Network, stage: string): string {
  const named = VIDEO_STAGES[stage]
  if (named) return named
  const names = network.nodes.map(({ name }) => name)
  if (stage === 'headPool') {
    return names.find(
      (name) => name === 'blocks.5.pool.pool' || name === 'blocks.5.pool' || name === 'blocks.5',
    )!
  }
  const ofStage = network.nodes.filter((node) => node.stage === stage).map(({ name }) => name)
  const ofModule = names.filter((name) => name === stage || name.startsWith(`${stage}.`))
  return (ofModule.length > 0 ? ofModule : ofStage).at(-1)!
}

function checkStage(
  stage: string,
  { batch, shape, data }: Observed,
  expected: Golden['stages'][string],
): void {
  const { frames, height, width, channels } = shape
  const [n, c, ...extent] = expected.shape
  expect([batch, channels], stage).toEqual([n, c])
  const full = [frames, height, width]
  expect(full.slice(full.length - extent.length), stage).toEqual(extent)
  let sum = 0
  let absMax = 0
  for (const value of data) {
    sum += value
    absMax = Math.max(absMax, Math.abs(value))
  }
  const mean = sum / data.length
  let squares = 0
  for (const value of data) squares += (value - mean) ** 2
  const scale = expected.std + Math.abs(expected.mean)
  expect(Math.abs(mean - expected.mean) / scale, `${stage} mean`).toBeLessThan(1e-3)
  expect(Math.abs(Math.sqrt(squares / data.length) - expected.std) / scale, `${stage} std`).toBeLessThan(1e-3)
  expect(Math.abs(absMax - expected.absMax) / expected.absMax, `${stage} absMax`).toBeLessThan(1e-3)
}
