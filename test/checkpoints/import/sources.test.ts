/** Whole small checkpoints of sources that the sample files do not cover, or that need no sample. */
import { describe, expect, it } from 'vitest'
import { foldShortcutNorms } from '../../../src/checkpoints/import/fold-shortcut.ts'
import { importWeights } from '../../../src/checkpoints/import/import-weights.ts'
import { parseWeightsFile } from '../../../src/checkpoints/weights-file.ts'
import { reducedSlow, reducedX3d } from '../../support/reduced-networks.ts'
import { checkpointOf, hashed, torchState } from '../../support/torch-state.ts'
import { ByteString, numpyArray, pickle } from '../../support/torch-writer.ts'

/** Our name of a layer of Slow → Caffe2's blob. */
const TENSORS: Readonly<Record<string, string>> = {
  weight: 's',
  bias: 'b',
  running_mean: 'rm',
  running_var: 'riv',
}

function caffe2Name(ours: string): string {
  const [, layer, tensor] = /^(.+)\.(\w+)$/.exec(ours)!
  if (layer === 'blocks.5.proj') return tensor === 'weight' ? 'pred_w' : 'pred_b'
  if (layer === 'blocks.0.conv') return 'conv1_w'
  if (layer === 'blocks.0.norm') return `res_conv1_bn_${TENSORS[tensor!]}`
  const [, stage, block, branch, part, letter] =
    /^blocks\.(\d)\.res_blocks\.(\d+)\.branch([12])(?:_|\.)(conv|norm)(?:_([abc]))?$/.exec(layer!)!
  const blob = `res${Number(stage) + 1}_${block}_branch${branch}${letter ?? ''}`
  return part === 'conv' ? `${blob}_w` : `${blob}_bn_${TENSORS[tensor!]}`
}

const bytes = (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength)

describe('a Caffe2 pickle of the PySlowFast model zoo', () => {
  it('becomes the same network, its optimiser state left out', () => {
    const network = reducedSlow()
    const state = torchState(network)
    const array = ({ shape, values }: { shape: readonly number[]; values: Float32Array }) =>
      numpyArray('f4', shape, new ByteString(new Uint8Array(values.buffer)))
    const blobs = new Map<string, unknown>(
      [...state].map(([ours, tensor]) => [caffe2Name(ours), array(tensor)]),
    )
    blobs.set('conv1_w_momentum', array(hashed('m', [2])))
    blobs.set('lr', array(hashed('lr', [1])))
    const file = parseWeightsFile(pickle(new Map([['blobs', blobs]])), 'SLOW.pkl')
    const { weights, statistics, report, complete } = importWeights(network, file, 'SLOW.pkl', {
      strict: true,
    })
    expect(report).toMatchObject({
      scheme: "Caffe2 (PySlowFast's model zoo)",
      ignored: 2,
      unexpected: [],
      reshaped: [],
    })
    expect(complete).toBe(true)
    const same = importWeights(network, parseWeightsFile(checkpointOf(state), 'f'), 'f')
    for (const [name, values] of weights.values) {
      expect(Buffer.compare(bytes(values), bytes(same.weights.values.get(name)!)), name).toBe(0)
    }
    expect(statistics[0]!.statistics).toEqual(same.statistics[0]!.statistics)
  })
})

describe('a DataParallel checkpoint', () => {
  it('loses its prefix', () => {
    const network = reducedSlow()
    const file = parseWeightsFile(
      checkpointOf(
        torchState(network, (name) => `module.${name}`),
        'state_dict',
      ),
      'f',
    )
    const { report } = importWeights(network, file, 'f', { strict: true })
    expect(report.missing).toEqual([])
  })
})

describe("the batch norm of PySlowFast's first X3D shortcut", () => {
  const norm = 'blocks.1.res_blocks.0.branch1_norm'
  const filter = 'blocks.1.res_blocks.0.branch1_conv.weight'
  const shift = 'blocks.1.res_blocks.0.branch2.norm_c.bias'

  it('goes into the convolution before it and the batch norm that its sum is with', () => {
    const original = new Map([
      [filter, Float32Array.of(1, 2, 3, 4)],
      [shift, Float32Array.of(0.5, -0.5)],
      [`${norm}.weight`, Float32Array.of(2, 3)],
      [`${norm}.bias`, Float32Array.of(0.1, 0.2)],
      [`${norm}.running_mean`, Float32Array.of(0.3, -0.4)],
      [`${norm}.running_var`, Float32Array.of(4, 0.25)],
    ])
    const folded = new Map(original)
    expect(foldShortcutNorms(reducedX3d(), folded)).toEqual([norm])
    expect([...folded.keys()]).toEqual([filter, shift])
    // Two outputs of two inputs each: scale · (w · x − mean) / √(variance + ε) + bias, plus the other branch's shift.
    const x = [0.7, -1.1]
    for (const o of [0, 1]) {
      const at = (name: string) => original.get(name)![o]!
      const product = (values: Float32Array) => values[2 * o]! * x[0]! + values[2 * o + 1]! * x[1]!
      const deviation = Math.sqrt(at(`${norm}.running_var`) + 1e-5)
      const normalised = (product(original.get(filter)!) - at(`${norm}.running_mean`)) / deviation
      const expected = normalised * at(`${norm}.weight`) + at(`${norm}.bias`) + at(shift)
      expect(product(folded.get(filter)!) + folded.get(shift)![o]!).toBeCloseTo(expected, 5)
    }
  })

  it('is unexpected where it is not whole', () => {
    const network = reducedX3d()
    const state = torchState(network)
    state.set(`${norm}.weight`, hashed('w', [16]))
    const { report } = importWeights(network, parseWeightsFile(checkpointOf(state), 'f'), 'f')
    expect(report.unexpected).toEqual([`${norm}.weight`])
    expect(report.folded).toEqual([])
  })
})
