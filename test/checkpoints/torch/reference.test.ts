import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { toFloat32 } from '../../../src/checkpoints/safetensors.ts'
import { parseTorch } from '../../../src/checkpoints/torch/read.ts'
import { parseWeightsFile } from '../../../src/checkpoints/weights-file.ts'
import { sharedPath } from '../../support/shared.ts'

/** Checkpoints written by PyTorch 1.13, each with a JSON of what it holds. */
const folder = sharedPath('reference/checkpoints')
const files = folder ? readdirSync(folder).filter((file) => !file.endsWith('.json')) : ['none']

const DTYPES: Readonly<Record<string, string>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  U8: 'uint8',
  BOOL: 'bool',
}

interface Expected {
  readonly tensors: Record<
    string,
    { dtype: string; shape: number[]; values?: number[]; first?: number[]; sum?: number }
  >
  readonly nested?: unknown
}

const readExpected = (file: string): Expected => JSON.parse(readFileSync(`${folder}/${file}.json`, 'utf8'))

describe.skipIf(!folder)('sample checkpoints', () => {
  it.each(files)('%s has exactly the tensors of its JSON', (file) => {
    const { tensors } = parseWeightsFile(readFileSync(`${folder}/${file}`), file)
    const expected = Object.entries(readExpected(file).tensors)
    expect([...tensors.keys()].sort()).toEqual(expected.map(([name]) => name).sort())
    for (const [name, { dtype, shape, values, first, sum }] of expected) {
      const tensor = tensors.get(name)!.read()
      expect([DTYPES[tensor.dtype], tensor.shape], name).toEqual([dtype, shape])
      const found = dtype.includes('float')
        ? tensor.dtype === 'F64'
          ? [...tensor.data]
          : [...toFloat32(tensor)]
        : Array.from(tensor.data, Number)
      const wanted = values ?? first!
      if (values) expect(found, name).toHaveLength(values.length)
      wanted.forEach((value, i) => {
        expect(Math.abs(found[i]! - value), name).toBeLessThanOrEqual(1e-7 * Math.abs(value))
      })
      if (sum !== undefined) {
        const size = found.reduce((total, value) => total + Math.abs(value), 0)
        const total = found.reduce((total, value) => total + value, 0)
        expect(Math.abs(total - sum), name).toBeLessThanOrEqual(1e-6 * size)
      }
    }
  })

  it.each(['dtypes.pt', 'dtypes_legacy.pt'])('%s has its other values too', (file) => {
    const root = parseTorch(readFileSync(`${folder}/${file}`), file).value as Map<string, unknown>
    const nested = root.get('nested') as Map<string, unknown>
    const b = nested.get('b') as Map<string, unknown>
    expect(b.get('list')).toEqual([1, 2.5, null, 'text', true, [1, 2]])
    expect([b.get('big'), b.get('neg'), root.get('unicode é')]).toEqual([1099511627776, -5, 'üß'])
  })
})
