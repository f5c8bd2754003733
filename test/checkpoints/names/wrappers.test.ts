/** Names behind what wrappers put around them, in files as those wrappers write them. */
import { describe, expect, it } from 'vitest'
import { importWeights } from '../../../src/checkpoints/import/import-weights.ts'
import { parseWeightsFile } from '../../../src/checkpoints/weights-file.ts'
import { resnet } from '../../../src/models/resnet.ts'
import { reducedX3d, tinyMobilenet } from '../../support/reduced-networks.ts'
import { checkpointOf, hashed, type State, torchState } from '../../support/torch-state.ts'
import { float32, tensor, torchZip } from '../../support/torch-writer.ts'

const network = reducedX3d()
const state = torchState(network)
const renamed = (nameOf: (name: string) => string) =>
  new Map([...state].map(([name, value]) => [nameOf(name), value]))
const read = (file: Buffer, options = {}) =>
  importWeights(network, parseWeightsFile(file, 'file.pt'), 'file.pt', options)
const weights = (imported: ReturnType<typeof read>) => imported.weights.values.get('blocks.5.proj.weight')
const plain = read(checkpointOf(state), { strict: true })

describe('names in a wrapper', () => {
  it.each([
    ['DataParallel', 'module.'],
    ['torch.compile', '_orig_mod.'],
    ['Lightning', 'model.'],
    ['a module of some name', 'classifier_net.'],
    ['torch.compile in DataParallel', 'module._orig_mod.'],
    ['DataParallel in torch.compile', '_orig_mod.module.'],
    ['Lightning around a wrapper of its own', 'model.net.backbone.'],
    ['two of the same', 'module.module.'],
    ['FSDP', '_fsdp_wrapped_module.'],
  ])('are read as if %s was not there', (_, prefix) => {
    const imported = read(checkpointOf(renamed((name) => `${prefix}${name}`)), { strict: true })
    expect(imported).toMatchObject({ complete: true, report: { wrapper: prefix, scheme: 'PyTorchVideo' } })
    expect(weights(imported)).toEqual(weights(plain))
  })

  it('are read where wrapped parts lie in the middle', () => {
    const inside = (name: string) =>
      name
        .replace(/^blocks\.(\d)\./, 'blocks.$1._checkpoint_wrapped_module.')
        .replace('.branch2.', '.branch2._orig_mod.')
    const imported = read(checkpointOf(renamed((name) => `module.${inside(name)}`)), { strict: true })
    expect(weights(imported)).toEqual(weights(plain))
  })

  it("are read in AveragedModel's, whose counter is no weight", () => {
    const averaged = renamed((name) => `module.${name}`).set('n_averaged', hashed('n_averaged', []))
    const { report } = read(checkpointOf(averaged), { strict: true })
    expect(report).toMatchObject({ unexpected: [], ignored: 1 })
  })

  it('are read beside what is not the network, which is left over', () => {
    const all = renamed((name) => `model.${name}`)
    all.set('criterion.weight', hashed('criterion.weight', [5]))
    const { report, complete } = read(checkpointOf(all, 'state_dict'))
    expect({ complete, unexpected: report.unexpected }).toEqual({
      complete: true,
      unexpected: ['criterion.weight'],
    })
  })

  it("are read of the network, not of its moving average's copy beside it", () => {
    const other = new Map([...state.keys()].map((name) => [`ema_model.${name}`, hashed('ema', [1])] as const))
    const both = new Map<string, State>([...renamed((name) => `model.${name}`), ...other])
    expect(weights(read(checkpointOf(both)))).toEqual(weights(plain))
  })

  it('are read under a key that is not known, beside the optimiser', () => {
    const specs = [...state].map(
      ([name, { shape, values }], key) => [name, float32(`${key}`, shape, values)] as const,
    )
    const velocity = float32('v', [3], Float32Array.of(1, 2, 3))
    const file = torchZip(
      new Map<string, unknown>([
        ['optimizer', new Map([['state', new Map([[0, new Map([['momentum_buffer', tensor(velocity)]])]])]])],
        ['my_network', new Map(specs.map(([name, spec]) => [name, tensor(spec)]))],
      ]),
      [...specs.map(([, spec]) => spec), velocity],
    )
    expect(weights(read(file))).toEqual(weights(plain))
  })

  it.each([
    ['MobileNet v1', tinyMobilenet()],
    ['ResNet-50', resnet({ depth: 50, classes: 3, size: 32 })],
  ])('are read of %s', (_, image) => {
    const wrapped = torchState(image, (name) => `model.${name}`)
    const file = parseWeightsFile(checkpointOf(wrapped), 'file.pt')
    expect(importWeights(image, file, 'file.pt', { strict: true }).complete).toBe(true)
  })

  it('are refused with what is known where no prefix leaves any that are', () => {
    expect(() => read(checkpointOf(renamed((name) => `x.${name.replaceAll('blocks', 'parts')}`)))).toThrow(
      /file\.pt: its names \("x\.parts.*are of no scheme that is known.*MutualNet.*\n.*_orig_mod/,
    )
  })
})
