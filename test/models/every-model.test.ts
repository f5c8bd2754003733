/** What holds for every model that a configuration can name: these tests are generated from the table of models. */
import { beforeAll, describe, expect, it } from 'vitest'
import { torchTensors } from '../../src/checkpoints/export-weights.ts'
import { importWeights } from '../../src/checkpoints/import/import-weights.ts'
import { parseWeightsFile } from '../../src/checkpoints/weights-file.ts'
import { parseConfig } from '../../src/config/index.ts'
import type { Engine } from '../../src/engines/engine.ts'
import { openEngine } from '../../src/engines/index.ts'
import type { Inputs } from '../../src/frames/batch.ts'
import { buildNetwork, freshWeights, MODELS } from '../../src/models/index.ts'
import { createRandom } from '../../src/network/random.ts'
import { isKind, resolve, type SubNetwork } from '../../src/network/resolve.ts'
import { initialStatistics } from '../../src/network/store.ts'
import { checkpointOf, torchState } from '../support/torch-state.ts'

const engines: Engine[] = []
beforeAll(async () => {
  engines.push(await openEngine('native'), await openEngine('tfjs', { backend: 'wasm' }))
})

function noise(subNetwork: SubNetwork): Inputs {
  const random = createRandom(3)
  return Object.fromEntries(
    subNetwork.nodes
      .filter((node) => isKind(node, 'input'))
      .map(({ node, shape }) => {
        const { frames, height, width } = shape
        const data = Float32Array.from(
          { length: frames * height * width * 3 },
          () => 2 * random.uniform() - 1,
        )
        return [node.name, { data, batch: 1, frames, height, width }]
      }),
  )
}

/** What makes a model small, where its defaults are those of a large one. */
const SMALLER: Readonly<Record<string, string>> = { wideresnet: '\ndepth: 10\nwiden_factor: 1' }

describe.each(MODELS.map((spec) => ({ ...spec, spec })))('$name', ({ name, media, family, spec }) => {
  const small = media === 'video' ? 'frames: 4\nframe_stride: 4\nimage_size: 64' : 'image_size: 32'
  const config = parseConfig(
    `model: ${name}\ndataset: folder\nnum_classes: 7\n${small}${SMALLER[name] ?? ''}`,
    `${name}.yml`,
  )
  const network = buildNetwork(config)

  it('is built of its medium and family, at the sizes of a configuration, each narrower one cheaper', () => {
    expect(network).toMatchObject({ media, family, classes: 7, size: config.image_size })
    const [narrow, wide] = config.width_mult_range
    const macs = (width: number) =>
      resolve(network, { width, frames: config.frames, size: config.image_size }).macs
    expect(macs(narrow)).toBeLessThan(macs(wide))
  })

  it('has the keys of its own and refuses those of others', () => {
    const keys = [
      'variant',
      'depth_factor',
      'width_factor',
      'head_features',
      'widen_factor',
      'alpha',
    ] as const
    const value = (key: (typeof keys)[number]) => (key === 'variant' ? 'm' : '2')
    for (const key of keys) {
      const parse = () => parseConfig(`model: ${name}\n${key}: ${value(key)}`, 'a.yml')
      if (spec.keys.includes(key)) expect(parse).not.toThrow()
      else expect(parse).toThrow(`${key} means nothing for model ${name}; it is for `)
    }
  })

  // Models of a family are made and called alike; the first of them is enough for what takes seconds.
  if (MODELS.find((each) => each.family === family)!.name !== name) return

  it('scores alike on both engines at its narrowest, smallest and shortest', async () => {
    const configuration = {
      width: config.width_mult_range[0],
      frames: config.frames_list.at(-1)!,
      size: config.resolution_list.at(-1)!,
    }
    const subNetwork = resolve(network, configuration)
    const weights = freshWeights(network, { ...config, zero_init_final_bn: false })
    const statistics = initialStatistics(subNetwork)
    const inputs = noise(subNetwork)
    const [native, wasm] = await Promise.all(
      engines.map(async (engine) => {
        const plan = await engine.compile(subNetwork, weights, { statistics })
        const { logits } = await plan.run(inputs)
        plan.dispose()
        return logits
      }),
    )
    const largest = Math.max(...native!.map(Math.abs))
    expect(largest).toBeGreaterThan(0)
    expect(Math.max(...native!.map((value, i) => Math.abs(value - wasm![i]!))) / largest).toBeLessThan(1e-4)
  })

  it('is read back from the names that PyTorch knows it by', () => {
    const file = parseWeightsFile(checkpointOf(torchState(network)), `${name}.pyth`)
    const { weights, complete, report } = importWeights(network, file, `${name}.pyth`)
    expect({ complete, missing: report.missing, unexpected: report.unexpected }).toEqual({
      complete: true,
      missing: [],
      unexpected: [],
    })
    const full = resolve(network, { width: network.maxWidth, frames: network.frames, size: network.size })
    expect([...torchTensors(full, weights, initialStatistics(full))].length).toBeGreaterThan(0)
  })
})
