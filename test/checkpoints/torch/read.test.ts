import { describe, expect, it } from 'vitest'
import { parseTorch } from '../../../src/checkpoints/torch/read.ts'
import type { Tensor } from '../../../src/checkpoints/torch/values.ts'
import { parseWeightsFile } from '../../../src/checkpoints/weights-file.ts'
import { MnVideoError } from '../../../src/errors.ts'
import {
  ByteString,
  Call,
  float32,
  Global,
  numpyArray,
  pickle,
  type TensorSpec,
  tensor,
  torchLegacy,
  torchZip,
  zip,
} from '../../support/torch-writer.ts'

const bytesOf = (data: ArrayBufferView) => new Uint8Array(data.buffer)
const a = float32('0', [2, 3], [0, 1, 2, 3, 4, 5])
const half: TensorSpec = {
  type: 'Half',
  key: '1',
  bytes: bytesOf(Uint16Array.of(0x3e00, 0xc080, 0x7bff)),
  length: 3,
  shape: [3],
  strides: [1],
}
const transposed = { ...a, shape: [3, 2], strides: [1, 3] }
const part = { ...a, shape: [2, 2], strides: [3, 1], offset: 1 }
const scalar = { ...a, shape: [], strides: [], offset: 5 }
const empty = { ...a, shape: [0, 3], strides: [3, 1] }
const specs = { a, half, transposed, part, scalar, empty }

const stateDict = (legacy: boolean) =>
  new Map<string, unknown>([
    ['epoch', 3],
    [
      'model_state',
      new Call(
        new Global('collections', 'OrderedDict'),
        [Object.entries(specs).map(([name, spec]) => [name, tensor(spec, legacy)])],
        new Map([['_metadata', new Map()]]),
      ),
    ],
    [
      'optimizer_state',
      new Map([['state', new Map([[0, new Map([['momentum_buffer', tensor(a, legacy)]])]])]]),
    ],
  ])

const files = {
  'zip archive': () => torchZip(stateDict(false), [a, half]),
  'zip64 archive': () => torchZip(stateDict(false), [a, half], { zip64: true }),
  'legacy stream': () => torchLegacy(stateDict(true), [a, half]),
}

describe.each(Object.entries(files))('torch %s', (_, make) => {
  it('gives views, slices, scalars and empty tensors of shared storages', () => {
    const { container, tensors } = parseWeightsFile(make(), 'file.pt')
    expect(container).toBe('model_state')
    const read = (name: string) => tensors.get(name)!.read()
    expect(read('a')).toEqual({ dtype: 'F32', shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) })
    expect(read('transposed')).toEqual({
      dtype: 'F32',
      shape: [3, 2],
      data: Float32Array.of(0, 3, 1, 4, 2, 5),
    })
    expect(read('part').data).toEqual(Float32Array.of(1, 2, 4, 5))
    expect(read('scalar')).toEqual({ dtype: 'F32', shape: [], data: Float32Array.of(5) })
    expect(read('empty')).toEqual({ dtype: 'F32', shape: [0, 3], data: new Float32Array(0) })
    expect(read('half')).toMatchObject({ dtype: 'F16', data: Uint16Array.of(0x3e00, 0xc080, 0x7bff) })
  })

  it('is refused when cut short anywhere, or damaged', () => {
    const whole = make()
    for (let length = 0; length < whole.length; length += 7) {
      const cut = whole.subarray(0, length)
      expect(() => {
        for (const tensor of parseWeightsFile(cut, 'file.pt').tensors.values()) tensor.read()
      }, `${length} bytes`).toThrow(MnVideoError)
    }
  })
})

describe('torch files', () => {
  it('keep the names that are in them', () => {
    const weights = new Map([
      ['module.a', tensor(a)],
      ['module.b.c', tensor(part)],
    ])
    const file = parseWeightsFile(torchZip(new Map([['state_dict', weights]]), [a]), 'file.pt')
    expect(file).toMatchObject({ container: 'state_dict' })
    expect([...file.tensors.keys()]).toEqual(['module.a', 'module.b.c'])
  })

  it('may be a state dict, or a pickle of blobs as Caffe2 writes', () => {
    expect(parseWeightsFile(torchZip(new Map([['a', tensor(a)]]), [a]), 'f').container).toBe('')
    const blob = numpyArray('f4', [2], new ByteString(bytesOf(Float32Array.of(1, 2))))
    const caffe2 = parseWeightsFile(pickle(new Map([['blobs', new Map([['conv1_w', blob]])]])), 'f.pkl')
    expect(caffe2).toMatchObject({ format: 'pickle', container: 'blobs' })
    expect(caffe2.tensors.get('conv1_w')!.read().data).toEqual(Float32Array.of(1, 2))
  })

  it('hold parameters and tensors with attributes as their tensors', () => {
    const rebuild = (name: string, ...args: unknown[]) => new Call(new Global('torch._utils', name), args)
    const subclass = new Call(new Global('torch._tensor', '_rebuild_from_type_v2'), [
      new Global('torch._utils', '_rebuild_parameter'),
      new Global('torch.nn.parameter', 'Parameter'),
      [tensor(a), true, new Map()],
      new Map(),
    ])
    const ancient = new Call(new Global('torch.nn.parameter', 'Parameter'), [tensor(a)], [true, new Map()])
    const value = parseTorch(
      torchZip([rebuild('_rebuild_parameter', tensor(a), true, new Map()), subclass, ancient], [a]),
      'f',
    ).value as Tensor[]
    expect(value.map(({ shape }) => shape)).toEqual([a.shape, a.shape, a.shape])
  })

  it.each([
    [
      'a compressed archive',
      zip(new Map([['archive/data.pkl', pickle(null)]]), { method: 8 }),
      'is compressed, which torch.save never does',
    ],
    ['an archive of something else', zip(new Map([['a.txt', Buffer.from('a')]])), 'not one of torch.save'],
    [
      'a TorchScript archive',
      zip(
        new Map([
          ['m/data.pkl', pickle(null)],
          ['m/constants.pkl', pickle(null)],
        ]),
      ),
      'is a TorchScript archive. Save the weights alone',
    ],
    [
      'a big-endian archive',
      zip(
        new Map([
          ['m/data.pkl', pickle(null)],
          ['m/byteorder', Buffer.from('big')],
        ]),
      ),
      'big-endian machine',
    ],
    ['text', Buffer.from('epoch 1\n'.repeat(9)), 'is neither safetensors nor anything torch.save'],
    ['a number', torchZip(7, []), 'has no state dict (it holds no dictionary;'],
    [
      'a dictionary without tensors',
      torchZip(new Map([['epoch', 1]]), []),
      'has no state dict (its keys are "epoch";',
    ],
    [
      'a missing storage',
      torchZip(new Map([['a', tensor(a)]]), []),
      'its zip archive has no "archive/data/0"',
    ],
    [
      'a tensor outside its storage',
      torchZip(new Map([['a', tensor({ ...a, offset: 1 })]]), [a]),
      'reaches value 6 of a storage of 6',
    ],
    [
      'a tensor that repeats its storage',
      torchZip(new Map([['a', tensor({ ...a, shape: [9, 9], strides: [0, 0] })]]), [a]),
      'repeats a storage of 6 values',
    ],
    [
      'negative strides',
      torchZip(new Map([['a', tensor({ ...a, strides: [3, -1] })]]), [a]),
      'strides [3,-1]',
    ],
    [
      'a storage shorter than it says',
      torchZip(new Map([['a', tensor({ ...a, length: 9 })]]), [a]),
      'storage "0" is cut short',
    ],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => {
      for (const tensor of parseWeightsFile(bytes, 'file.pt').tensors.values()) tensor.read()
    }).toThrow(message)
  })

  it('tells a byte changed anywhere in a zip archive, or does not read it', () => {
    const whole = torchZip(new Map([['a', tensor(a)]]), [a])
    const at = whole.indexOf(bytesOf(Float32Array.of(3)))
    const damaged = Buffer.from(whole)
    damaged[at]! ^= 1
    const { tensors } = parseWeightsFile(damaged, 'file.pt')
    expect(() => tensors.get('a')!.read()).toThrow('"archive/data/0" does not match its checksum')
  })
})
