import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { importWeights } from '../../../src/checkpoints/import/import-weights.ts'
import { openArchive } from '../../../src/checkpoints/torch/zip.ts'
import { parseWeightsFile } from '../../../src/checkpoints/weights-file.ts'
import { MnVideoError } from '../../../src/errors.ts'
import { createRandom } from '../../../src/network/random.ts'
import { tinyMobilenet } from '../../support/reduced-networks.ts'
import { sharedPath } from '../../support/shared.ts'
import { checkpointOf, torchState } from '../../support/torch-state.ts'
import {
  ByteString,
  float32,
  numpyArray,
  pickle,
  tensor,
  torchLegacy,
  torchZip,
  zip,
} from '../../support/torch-writer.ts'

/** What is mutated: a part of a file, and how the file is made of it (so that checksums still hold). */
interface Subject {
  readonly title: string
  readonly part: Uint8Array
  readonly file: (part: Uint8Array) => Uint8Array
}

const whole = (title: string, part: Uint8Array): Subject => ({ title, part, file: (bytes) => bytes })

function pickleOf(title: string, bytes: Uint8Array): Subject {
  const archive = openArchive(bytes, (what) => new Error(what) as MnVideoError)
  const entries = new Map(archive.names.map((name) => [name, archive.read(name)]))
  const name = archive.names.find((entry) => entry.endsWith('/data.pkl'))!
  return {
    title: `pickle of ${title}`,
    part: entries.get(name)!,
    file: (part) => zip(new Map([...entries, [name, part]])),
  }
}

const a = float32('0', [4, 3, 5], new Float32Array(60))
const b = float32('1', [3], [1, 2, 3])
const state = (legacy: boolean) =>
  new Map([
    [
      'state_dict',
      new Map([
        ['a', tensor(a, legacy)],
        ['b', tensor(b, legacy)],
      ]),
    ],
  ])
const blobs = new Map([
  ['blobs', new Map([['conv1_w', numpyArray('f4', [2, 2], new ByteString(Buffer.alloc(16)))]])],
])
const zipped = torchZip(state(false), [a, b])

const sample = (name: string): readonly Subject[] => {
  const path = sharedPath(`reference/checkpoints/${name}`)
  if (!path) return []
  const bytes = readFileSync(path)
  return bytes[0] === 0x50 ? [whole(name, bytes), pickleOf(name, bytes)] : [whole(name, bytes)]
}

const SAMPLES = [
  'dtypes.pt',
  'dtypes_legacy.pt',
  'mobilenet_v1_tiny_mutualnet.pt',
  'x3d_reduced_legacy.pyth',
  'x3d_reduced_fp16.pyth',
  'x3d_reduced_pyslowfast.pyth',
  'x3d_reduced_pytorchvideo.pyth',
  'slowfast_reduced_pytorchvideo.pyth',
  'wrn10_2_mutualnet.pt',
  'x3d_reduced.safetensors',
]

const subjects: readonly Subject[] = [
  whole('zip archive', zipped),
  whole('zip64 archive', torchZip(state(false), [a, b], { zip64: true })),
  pickleOf('zip archive', zipped),
  whole('legacy stream', torchLegacy(state(true), [a, b])),
  whole('pickle of arrays', pickle(blobs)),
  ...SAMPLES.flatMap(sample),
]

const CASES = 10_000
/** Those of a megabyte take their turn less often: most of their mutations hit weights, where any value is right. */
const small = subjects.filter(({ part, file }) => file(part).length < 2 ** 16)
const large = subjects.filter((subject) => !small.includes(subject))

describe('mutated checkpoints', () => {
  it(`end in success or a clear error, ${CASES} times, quickly and in little memory`, () => {
    const random = createRandom(20201)
    const below = (limit: number) => Math.floor(random.uniform() * limit)
    let longest = 0
    let most = 0
    for (let i = 0; i < CASES; i++) {
      const from = i % 20 === 0 && large.length > 0 ? large : small
      const subject = from[below(from.length)]!
      const bytes = subject.file(mutate(subject.part, below))
      const started = performance.now()
      try {
        for (const source of parseWeightsFile(bytes, 'file').tensors.values()) source.read()
      } catch (error) {
        if (!(error instanceof MnVideoError)) throw new Error(`case ${i}, ${subject.title}`, { cause: error })
        expect(error.message.split('\n').length, `case ${i}`).toBeLessThanOrEqual(3)
      }
      longest = Math.max(longest, performance.now() - started)
      if (i % 500 === 0) most = Math.max(most, process.memoryUsage().rss)
    }
    expect(longest).toBeLessThan(2000)
    expect(most).toBeLessThan(2 ** 30)
  })
})

describe('mutated weights of a network', () => {
  it('are imported or refused, and nothing else', () => {
    const network = tinyMobilenet()
    const subject = pickleOf('state dict', checkpointOf(torchState(network)))
    const random = createRandom(77)
    const below = (limit: number) => Math.floor(random.uniform() * limit)
    let imported = 0
    for (let i = 0; i < 1000; i++) {
      try {
        importWeights(network, parseWeightsFile(subject.file(mutate(subject.part, below)), 'file'), 'file')
        imported++
      } catch (error) {
        if (!(error instanceof MnVideoError)) throw new Error(`case ${i}`, { cause: error })
      }
    }
    expect(imported).toBeGreaterThan(0)
  })
})

/** One to four changes: a byte, a bit, a cut, a repetition, a length of all ones. */
function mutate(original: Uint8Array, below: (limit: number) => number): Uint8Array {
  let bytes = Buffer.from(original)
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const at = below(bytes.length)
    switch (below(6)) {
      case 0:
        bytes[at] = below(256)
        break
      case 1:
        bytes[at]! ^= 1 << below(8)
        break
      case 2:
        bytes = bytes.subarray(0, Math.max(1, at))
        break
      case 3: {
        const length = Math.min(1 + below(40), bytes.length - at)
        bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)])
        break
      }
      case 4:
        bytes.fill(0xff, at, Math.min(bytes.length, at + (below(2) === 0 ? 4 : 8)))
        break
      default: {
        const length = Math.min(1 + below(40), bytes.length - at)
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
        if (bytes.length === 0) return Buffer.from([0x80])
      }
    }
  }
  return bytes
}
