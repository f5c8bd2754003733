import { describe, expect, it } from 'vitest'
import type { NumpyArray } from '../../../src/checkpoints/torch/numpy.ts'
import { readPickle } from '../../../src/checkpoints/torch/pickle.ts'
import { MnVideoError } from '../../../src/errors.ts'
import { ByteString, Call, Global, numpyArray, pickle, Tuple } from '../../support/torch-writer.ts'

const fail = (what: string) => new MnVideoError('weights', `file: ${what}.`)
const read = (bytes: Uint8Array) => readPickle(bytes, 0, { fail }).value
const opcodes = (text: string) => Buffer.from(`\x80\x02${text}.`, 'latin1')

/**
 * Written by CPython 3's pickle, protocols 2 to 5, with stand-ins that reduce as NumPy's types do:
 * {'blobs': {'conv1_w': array([[0, 1, 2], [3, 4, 5]], 'f4'), 'again': the same, 'lr': float64(0.1),
 * 't': (1, -2, 3.5, None, True, 2**40, -2**70)}}
 */
const WRITTEN_BY_PYTHON: readonly (readonly [protocol: string, base64: string])[] = [
  [
    '2',
    'gAJ9cQBYBQAAAGJsb2JzcQF9cQIoWAcAAABjb252MV93cQNjbnVtcHkuY29yZS5tdWx0aWFycmF5Cl9yZWNvbnN0cnVj' +
      'dApxBGNudW1weQpuZGFycmF5CnEFSwCFcQZjX2NvZGVjcwplbmNvZGUKcQdYAQAAAGJxCFgGAAAAbGF0aW4xcQmGcQpS' +
      'cQuHcQxScQ0oSwFLAksDhnEOY251bXB5CmR0eXBlCnEPWAIAAABmNHEQiYiHcRFScRIoSwNYAQAAADxxE05OTkr/////' +
      'Sv////9LAHRxFGKJaAdYGwAAAAAAAAAAAMKAPwAAAEAAAEBAAADCgEAAAMKgQHEVaAmGcRZScRd0cRhiWAUAAABhZ2Fp' +
      'bnEZaA1YAgAAAGxycRpjbnVtcHkuY29yZS5tdWx0aWFycmF5CnNjYWxhcgpxG2gPWAIAAABmOHEciYiHcR1ScR5oFGJo' +
      'B1gPAAAAwprCmcKZwpnCmcKZwrk/cR9oCYZxIFJxIYZxIlJxI1gBAAAAdHEkKEsBSv7///9HQAwAAAAAAABOiIoGAAAA' +
      'AAABigkAAAAAAAAAAMB0cSV1cy4=',
  ],
  [
    '3',
    'gAN9cQBYBQAAAGJsb2JzcQF9cQIoWAcAAABjb252MV93cQNjbnVtcHkuY29yZS5tdWx0aWFycmF5Cl9yZWNvbnN0cnVj' +
      'dApxBGNudW1weQpuZGFycmF5CnEFSwCFcQZDAWJxB4dxCFJxCShLAUsCSwOGcQpjbnVtcHkKZHR5cGUKcQtYAgAAAGY0' +
      'cQyJiIdxDVJxDihLA1gBAAAAPHEPTk5OSv////9K/////0sAdHEQYolDGAAAAAAAAIA/AAAAQAAAQEAAAIBAAACgQHER' +
      'dHESYlgFAAAAYWdhaW5xE2gJWAIAAABscnEUY251bXB5LmNvcmUubXVsdGlhcnJheQpzY2FsYXIKcRVoC1gCAAAAZjhx' +
      'FomIh3EXUnEYaBBiQwiamZmZmZm5P3EZhnEaUnEbWAEAAAB0cRwoSwFK/v///0dADAAAAAAAAE6IigYAAAAAAAGKCQAA' +
      'AAAAAAAAwHRxHXVzLg==',
  ],
  [
    '4',
    'gASVIgEAAAAAAAB9lIwFYmxvYnOUfZQojAdjb252MV93lIwVbnVtcHkuY29yZS5tdWx0aWFycmF5lIwMX3JlY29uc3Ry' +
      'dWN0lJOUjAVudW1weZSMB25kYXJyYXmUk5RLAIWUQwFilIeUUpQoSwFLAksDhpRoB4wFZHR5cGWUk5SMAmY0lImIh5RS' +
      'lChLA4wBPJROTk5K/////0r/////SwB0lGKJQxgAAAAAAACAPwAAAEAAAEBAAACAQAAAoECUdJRijAVhZ2FpbpRoDYwC' +
      'bHKUaASMBnNjYWxhcpSTlGgQjAJmOJSJiIeUUpRoFWJDCJqZmZmZmbk/lIaUUpSMAXSUKEsBSv7///9HQAwAAAAAAABO' +
      'iIoGAAAAAAABigkAAAAAAAAAAMB0lHVzLg==',
  ],
  [
    '5',
    'gAWVIwEAAAAAAAB9lIwFYmxvYnOUfZQojAdjb252MV93lIwSbnVtcHkuY29yZS5udW1lcmljlIwLX2Zyb21idWZmZXKU' +
      'k5QolhgAAAAAAAAAAAAAAAAAgD8AAABAAABAQAAAgEAAAKBAlIwFbnVtcHmUjAVkdHlwZZSTlIwCZjSUiYiHlFKUKEsD' +
      'jAE8lE5OTkr/////Sv////9LAHSUYksCSwOGlIwBQ5R0lFKUjAVhZ2FpbpRoE4wCbHKUjBVudW1weS5jb3JlLm11bHRp' +
      'YXJyYXmUjAZzY2FsYXKUk5RoCowCZjiUiYiHlFKUaA9iQwiamZmZmZm5P5SGlFKUjAF0lChLAUr+////R0AMAAAAAAAA' +
      'ToiKBgAAAAAAAYoJAAAAAAAAAADAdJR1cy4=',
  ],
]

describe('pickle', () => {
  it.each(WRITTEN_BY_PYTHON)('reads what Python writes with protocol %s', (_, base64) => {
    const blobs = (read(Buffer.from(base64, 'base64')) as Map<string, Map<string, unknown>>).get('blobs')!
    const array = blobs.get('conv1_w') as NumpyArray
    expect(array.tensor!.read()).toEqual({
      dtype: 'F32',
      shape: [2, 3],
      data: new Float32Array([0, 1, 2, 3, 4, 5]),
    })
    expect(blobs.get('again')).toBe(array)
    expect(blobs.get('lr')).toBe(0.1)
    expect(blobs.get('t')).toEqual([1, -2, 3.5, null, true, 2 ** 40, -(2n ** 70n)])
  })

  it('reads numbers, text, containers and what Python 2 wrote as byte strings', () => {
    const value = new Map<unknown, unknown>([
      ['list', [1, -1, 2.5, 1e300, null, true, false]],
      [7, new Tuple('üß', new ByteString(Buffer.from([0x61, 0xff])))],
    ])
    expect(read(pickle(value))).toEqual(
      new Map<unknown, unknown>([
        ['list', [1, -1, 2.5, 1e300, null, true, false]],
        [7, ['üß', 'aÿ']],
      ]),
    )
  })

  it('reads NumPy arrays of every number type, in both memory orders', () => {
    const array = (...args: Parameters<typeof numpyArray>) =>
      (read(pickle(numpyArray(...args))) as NumpyArray).tensor!.read()
    const bytes = (data: ArrayBufferView) => new ByteString(new Uint8Array(data.buffer))
    expect(array('f8', [2], bytes(Float64Array.of(0.1, 2)))).toEqual({
      dtype: 'F64',
      shape: [2],
      data: Float64Array.of(0.1, 2),
    })
    expect(array('i8', [1], bytes(BigInt64Array.of(-5n))).data).toEqual(BigInt64Array.of(-5n))
    expect(array('b1', [2], bytes(Uint8Array.of(1, 0)), { order: '|' })).toMatchObject({ dtype: 'BOOL' })
    // Columns first in memory: [[0, 1, 2], [3, 4, 5]].
    expect(array('f4', [2, 3], bytes(Float32Array.of(0, 3, 1, 4, 2, 5)), { fortran: true }).data).toEqual(
      Float32Array.of(0, 1, 2, 3, 4, 5),
    )
  })

  it.each([
    ['posix.system', opcodes('cposix\nsystem\nX\x04\x00\x00\x00echo\x85R')],
    ['builtins.eval', pickle(new Call(new Global('builtins', 'eval'), ['1']))],
    ['subprocess.Popen', pickle([new Global('subprocess', 'Popen')])],
    ['torch.load', pickle(new Global('torch', 'load'))],
    [
      'numpy.core.multiarray._reconstruct.__globals__',
      pickle(new Global('numpy.core.multiarray', '_reconstruct.__globals__')),
    ],
    ['torch._utils._rebuild_qtensor', pickle(new Call(new Global('torch._utils', '_rebuild_qtensor'), []))],
    ['constructor.constructor', pickle(new Call(new Global('constructor', 'constructor'), ['1']))],
  ])('refuses %s by name and runs nothing', (name, bytes) => {
    expect(() => read(bytes)).toThrow(`file: its pickle names "${name}", which is not something that weights`)
  })

  it.each([
    ['an empty file', Buffer.alloc(0), 'no pickle of protocol 2'],
    ['protocol 0', Buffer.from("(dp0\nS'a'\n."), 'no pickle of protocol 2'],
    ['protocol 6', Buffer.from([0x80, 6, 0x4e, 0x2e]), 'protocol 6; 2 to 5 can be read'],
    [
      'opcodes of protocol 0',
      opcodes("S'text'\n"),
      'pickle opcode 0x53 at byte 2 is not one that weights files have',
    ],
    ['extension codes', opcodes('\x82\x01'), 'opcode 0x82'],
    ['an end in the middle', Buffer.from([0x80, 2, 0x4b]), 'ends in the middle of a pickle'],
    ['a text longer than the file', opcodes('X\xff\xff\xff\x7fab'), 'ends in the middle of a pickle'],
    ['a text of 2^63 bytes', opcodes('\x8d\x00\x00\x00\x00\x00\x00\x00\x80ab'), 'ends in the middle'],
    ['an integer of 4 GiB', opcodes('\x8b\xff\xff\xff\xff'), 'has an integer of 4294967295 bytes'],
    ['a pop from nothing', opcodes('0'), 'takes more values than it has'],
    ['items without a mark', opcodes('Nt'), 'takes more values than it has'],
    ['a value never kept', opcodes('h\x05'), 'refers to value 5, which it never kept'],
    ['a call of text', opcodes('X\x01\x00\x00\x00a)R'), 'calls something that is no constructor'],
    [
      'a call of a dtype',
      pickle(new Call(new Global('torch', 'float32'), [])),
      'calls "torch.float32", which is no constructor',
    ],
    ['a storage where there are none', opcodes('NQ'), 'refers to storages where there are none'],
    ['two values', opcodes('NN'), 'values left over'],
    ['objects in an array', pickle(numpyArray('O8', [1], [null])), 'type "O8"'],
    [
      'big-endian numbers',
      pickle(numpyArray('f4', [1], new ByteString(Buffer.alloc(4)), { order: '>' })),
      'big-endian',
    ],
    [
      'an array of the wrong length',
      pickle(numpyArray('f4', [3], new ByteString(Buffer.alloc(8)))),
      'of shape [3] has 2 values',
    ],
    [
      'an array of negative length',
      pickle(numpyArray('f4', [-1, -2], new ByteString(Buffer.alloc(8)))),
      'shape [-1,-2]',
    ],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => read(bytes)).toThrow(MnVideoError)
    expect(() => read(bytes)).toThrow(message)
  })

  it('does not copy one long text again and again', () => {
    // One megabyte, then 1000 times: bytes of it.
    const text = `X\x00\x00\x10\x00${'a'.repeat(2 ** 20)}q\x00`
    const copy = 'c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R0'
    expect(() => read(opcodes(text + copy.repeat(1000)))).toThrow('copies more than it holds')
  })
})
