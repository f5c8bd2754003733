/**
 * TensorBoard event files: scalars by tag and step. The format is TFRecord (length, masked CRC-32C, bytes) around
 * `Event` protocol buffers (tensorflow/core/util/event.proto).
 */

import { appendFile, mkdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { Message } from '../checkpoints/protobuf.ts'
import { MnVideoError, reasonOf } from '../errors.ts'
import { configurationKey } from '../network/resolve.ts'
import type { TrainingEvent } from '../runs/log.ts'

export interface TensorboardWriter {
  /** Appends scalars of a step, by tag. */
  write(step: number, scalars: Readonly<Record<string, number>>): Promise<void>
}

/** Starts an event file in a folder, which is made where it is missing. */
export async function openTensorboard(folder: string): Promise<TensorboardWriter> {
  const orSay = (writing: Promise<unknown>) =>
    writing.catch((error: unknown) => {
      throw new MnVideoError('run', `${folder}: cannot be written: ${reasonOf(error)}.`, { cause: error })
    })
  await orSay(mkdir(folder, { recursive: true }))
  const started = Date.now() / 1000
  const file = join(folder, `events.out.tfevents.${Math.floor(started)}.${hostname()}.${process.pid}`)
  await orSay(appendFile(file, record(new Message().double(1, started).text(3, 'brain.Event:2'))))
  return {
    async write(step, scalars) {
      const values = Object.entries(scalars).map(([tag, value]) => new Message().text(1, tag).float(2, value))
      const event = new Message()
        .double(1, Date.now() / 1000)
        .int(2, step)
        .message(5, new Message().messages(1, values))
      await orSay(appendFile(file, record(event)))
    },
  }
}

function record(event: Message): Buffer {
  const data = Buffer.concat(event.parts)
  const length = Buffer.alloc(8)
  length.writeUInt32LE(data.length)
  return Buffer.concat([length, masked(length), data, masked(data)])
}

/** The checksum of a record, rotated and shifted so that checksums of checksums stay unlike. */
function masked(bytes: Uint8Array): Buffer {
  const crc = crc32c(bytes)
  const result = Buffer.alloc(4)
  result.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0)
  return result
}

/** CRC-32 with Castagnoli's polynomial, bit by bit: a record is some hundred bytes. */
export function crc32c(bytes: Uint8Array): number {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return ~crc >>> 0
}

/** What TensorBoard draws of an event. */
export function scalarsOf(
  event: TrainingEvent,
): { readonly step: number; readonly scalars: Readonly<Record<string, number>> } | undefined {
  if (event.event === 'validation') {
    return { step: event.step, scalars: { [`validation/top1/${configurationKey(event)}`]: event.top1 } }
  }
  if (event.event !== 'step') return undefined
  const losses = Object.entries(event.losses).map(([name, loss]) => [`loss/${name}`, loss] as const)
  return {
    step: event.step,
    scalars: {
      ...Object.fromEntries(losses),
      lr: event.lr,
      top1: event.top1,
      samples_per_second: event.samplesPerSecond,
      wait_share: event.waitShare,
    },
  }
}
