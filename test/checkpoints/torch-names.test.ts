/**
 * What `export --torch-names` writes is what `load_state_dict(strict=True)` takes. The goldens are of the state dicts of
 * MutualNet's own models in PyTorch 2.15 (width_mult_list and both ends of width_mult_range the one width), into which
 * these exports were loaded, and of the names of PyTorchVideo's.
 */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { torchTensors } from '../../src/checkpoints/export-weights.ts'
import { importWeights } from '../../src/checkpoints/import/import-weights.ts'
import { type Config, parseConfig } from '../../src/config/index.ts'
import { buildNetwork } from '../../src/models/index.ts'
import { initialise } from '../../src/network/initialise.ts'
import { resolve } from '../../src/network/resolve.ts'
import { initialStatistics } from '../../src/network/store.ts'

const digest = (lines: readonly string[]) =>
  createHash('sha256').update(lines.toSorted().join('\n')).digest('hex').slice(0, 16)

function exported(config: Config, width: number) {
  const network = buildNetwork(config)
  const { frames, size } = network
  const subNetwork = resolve(network, { width, frames, size })
  return { network, tensors: torchTensors(subNetwork, initialise(network, 1), initialStatistics(subNetwork)) }
}

describe('the names and shapes of an export', () => {
  it.each([
    ['mobilenet_v1', 1, 164, '859c6ce654c39ac0'],
    ['mobilenet_v1', 0.5, 164, '6c101e101cb9b5a7'],
    ['mobilenet_v2', 1, 314, 'bfcdaf86694f8713'],
    ['mobilenet_v2', 0.75, 314, 'a689666d99439d69'],
    ['resnet50', 1, 320, '8c6a84006f40df98'],
    ['resnet50', 0.9, 320, 'c503888f30a89cfe'],
    ['wideresnet', 1, 155, 'b90da216967c48b2'],
  ])("of %s at width %d are those of MutualNet's model", (model, width, count, golden) => {
    const classes = model === 'wideresnet' ? '\ndataset: cifar100' : ''
    const { tensors } = exported(parseConfig(`model: ${model}${classes}`, 'a.yml'), width)
    const lines = [...tensors].map(([name, { shape }]) => `${name} ${shape.join('×')}`)
    expect([lines.length, digest(lines)]).toEqual([count, golden])
  })

  it.each([
    ['x3d', 563, 'c730518af319006c'],
    ['slow', 320, '7d8cb5ba8e515d89'],
    ['slowfast', 662, '3f5008407326d1a7'],
  ])("of %s are named as in PyTorchVideo's model", (model, count, golden) => {
    const { tensors } = exported(parseConfig(`model: ${model}`, 'a.yml'), 1)
    expect([tensors.size, digest([...tensors.keys()])]).toEqual([count, golden])
  })

  it('are read back with their statistics, MutualNet’s of fixed channels too', () => {
    const { network, tensors } = exported(
      parseConfig('model: mobilenet_v2\nimage_size: 32\nnum_classes: 5', 'a.yml'),
      1,
    )
    expect([...tensors.keys()]).toContain('features.18.1.running_mean')
    expect([...tensors.keys()]).toContain('features.0.1.bn.0.running_mean')
    const sources = new Map([...tensors].map(([name, tensor]) => [name, { ...tensor, read: () => tensor }]))
    const file = { format: 'safetensors', container: '', metadata: {}, tensors: sources } as const
    const { complete, statistics } = importWeights(network, file, 'a', { strict: true, widths: [0.7] })
    expect({ complete, widths: statistics.map(({ width }) => width) }).toEqual({
      complete: true,
      widths: [1],
    })
  })
})
