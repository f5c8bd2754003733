import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { crc32c, openTensorboard } from '../../src/training/tensorboard.ts'
import { temporaryFolder } from '../support/small-run.ts'

const unmasked = (crc: number) => {
  const rotated = (crc - 0xa282ead8) >>> 0
  return ((rotated << 15) | (rotated >>> 17)) >>> 0
}

it('computes the CRC-32C of RFC 3720', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
})

it('writes TFRecords of events that hold the scalars', async () => {
  const folder = join(await temporaryFolder(), 'tensorboard')
  const writer = await openTensorboard(folder)
  await writer.write(300, { 'loss/full': 0.5 })
  const [file] = await readdir(folder)
  expect(file).toMatch(/^events\.out\.tfevents\.\d+\./)
  const bytes = await readFile(join(folder, file!))
  const records: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at)
    expect(unmasked(bytes.readUInt32LE(at + 8))).toBe(crc32c(bytes.subarray(at, at + 8)))
    const data = bytes.subarray(at + 12, at + 12 + length)
    expect(unmasked(bytes.readUInt32LE(at + 12 + length))).toBe(crc32c(data))
    records.push(data)
    at += 16 + length
  }
  expect(records).toHaveLength(2)
  expect(records[0]!.subarray(9).toString()).toBe('\x1a\x0dbrain.Event:2')
  // Behind the time (9 bytes): step 300, then summary { value { tag 'loss/full', simple_value 0.5 } }.
  const value = Buffer.from([0x15, 0, 0, 0, 0x3f])
  const tag = Buffer.concat([Buffer.from([0x0a, 9]), Buffer.from('loss/full')])
  const inner = Buffer.concat([tag, value])
  expect(records[1]!.subarray(9)).toEqual(
    Buffer.concat([Buffer.from([0x10, 0xac, 0x02, 0x2a, inner.length + 2, 0x0a, inner.length]), inner]),
  )
})
