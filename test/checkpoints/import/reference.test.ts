import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { importWeights } from '../../../src/checkpoints/import/import-weights.ts'
import { parseWeightsFile } from '../../../src/checkpoints/weights-file.ts'
import { openTfjsEngine } from '../../../src/engines/tfjs/engine.ts'
import { toInputs } from '../../../src/frames/inputs.ts'
import { wideResnet } from '../../../src/models/wide-resnet.ts'
import type { Network } from '../../../src/network/graph.ts'
import { resolve } from '../../../src/network/resolve.ts'
import { formulaInput } from '../../support/formula-weights.ts'
import { reducedSlowfast, reducedX3d, tinyMobilenet } from '../../support/reduced-networks.ts'
import { sharedPath } from '../../support/shared.ts'

/** Checkpoints written by PyTorch 1.13 with the logits that it computed from them in double precision. */
const folder = sharedPath('reference/checkpoints')

const wrn = () => wideResnet({ classes: 10, size: 32, depth: 10, widenFactor: 2 })

const cases: readonly (readonly [file: string, network: () => Network])[] = [
  ['x3d_reduced_pytorchvideo.pyth', reducedX3d],
  ['x3d_reduced_legacy.pyth', reducedX3d],
  ['x3d_reduced_fp16.pyth', reducedX3d],
  ['x3d_reduced.safetensors', reducedX3d],
  ['x3d_reduced_pyslowfast.pyth', reducedX3d],
  ['slowfast_reduced_pytorchvideo.pyth', reducedSlowfast],
  ['mobilenet_v1_tiny_mutualnet.pt', tinyMobilenet],
  ['wrn10_2_mutualnet.pt', wrn],
]

interface Golden {
  readonly input: { name: string; salt: string; shape: number[] }
  readonly logits?: number[] | number[][]
  readonly logitsEval?: Record<string, number[][]>
  readonly widthMultList?: number[]
}

describe.skipIf(!folder)('logits of imported checkpoints equal PyTorch’s', () => {
  it.each(cases)('%s', async (file, make) => {
    const network = make()
    const golden: Golden = JSON.parse(readFileSync(`${folder}/${file}.json`, 'utf8'))
    const { weights, statistics, complete } = importWeights(
      network,
      parseWeightsFile(readFileSync(`${folder}/${file}`), file),
      file,
      { strict: true, ...(golden.widthMultList && { widths: golden.widthMultList }) },
    )
    expect(complete).toBe(true)
    const byWidth: Readonly<Record<number, number[] | number[][]>> = golden.logitsEval ?? {
      1: golden.logits!,
    }
    expect(statistics.map(({ width }) => String(width)).sort()).toEqual(Object.keys(byWidth).sort())
    const engine = await openTfjsEngine('wasm')
    const clip = formulaInput(`${golden.input.salt}/${golden.input.name}`, golden.input.shape)
    for (const { width, statistics: values } of statistics) {
      const configuration = { width, frames: network.frames, size: network.size }
      const plan = await engine.compile(resolve(network, configuration), weights, { statistics: values })
      const { logits } = await plan.run(toInputs(network, configuration, clip))
      plan.dispose()
      const expected = byWidth[width]!.flat()
      const largest = Math.max(...expected.map(Math.abs))
      const difference = Math.max(...expected.map((logit, i) => Math.abs(logit - logits[i]!))) / largest
      expect(logits).toHaveLength(expected.length)
      expect(difference, `width ${width}`).toBeLessThan(1e-5)
    }
  })
})
