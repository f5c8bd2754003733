import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { appendJsonLines, readJsonLines } from '../../src/files/json-lines.ts'
import { isStep, readLog } from '../../src/runs/log.ts'
import { readPredictions } from '../../src/runs/predictions.ts'
import { appendSweep, readSweep, type SweepResult } from '../../src/runs/sweep-results.ts'
import { temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()
const schema = z.strictObject({ n: z.number(), text: z.string().optional() })
let files = 0
const fresh = () => join(folder, 'deep', `${files++}.jsonl`)

async function append(file: string, ...values: object[]): Promise<void> {
  const writer = await appendJsonLines(file)
  // Not awaited one by one: lines keep their order all the same.
  await Promise.all(values.map((value) => writer.append(value)))
  await writer.close()
}

describe('JSON lines', () => {
  it('are read as they were appended, also by several writers in turn', async () => {
    const file = fresh()
    await append(file, { n: 1 }, { n: 2, text: 'a\nb\u2028c' })
    await append(file, { n: 3 })
    expect(await readJsonLines(file, schema)).toEqual([{ n: 1 }, { n: 2, text: 'a\nb\u2028c' }, { n: 3 }])
  })

  it('are none where there is no file', async () => {
    expect(await readJsonLines(join(folder, 'none.jsonl'), schema)).toEqual([])
  })

  it('survive a writer that was killed at any byte', async () => {
    const file = fresh()
    const values = [{ n: 1, text: 'é'.repeat(5) }, { n: 22 }, { n: 333 }]
    await append(file, ...values)
    const whole = await readFile(file)
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), async (length) => {
        await writeFile(file, whole.subarray(0, length))
        const left = await readJsonLines(file, schema)
        expect(left).toEqual(values.slice(0, left.length))
        const lines = whole.subarray(0, length).filter((byte) => byte === 0x0a).length
        expect(left.length).toBeGreaterThanOrEqual(lines)
        // What was read stays, also where only the line break was not written.
        await append(file, { n: 4 })
        expect(await readJsonLines(file, schema)).toEqual([...left, { n: 4 }])
      }),
      { numRuns: 60 },
    )
  })

  it('that are damaged are named', async () => {
    const file = fresh()
    await append(file, { n: 1 })
    await appendFile(file, '{"n":\n{"n":3}\n')
    await expect(readJsonLines(file, schema)).rejects.toThrow(
      `${file}: line 2 is not JSON. The file is damaged`,
    )
    await writeFile(file, '{"n":1}\n{"n":"two"}\n')
    await expect(readJsonLines(file, schema)).rejects.toThrow(`${file}: line 2 has n: `)
  })

  it('cannot be written where there is no folder to make', async () => {
    await writeFile(join(folder, 'file'), '')
    await expect(appendJsonLines(join(folder, 'file', 'a.jsonl'))).rejects.toThrow(
      'a.jsonl: cannot be written: ',
    )
  })
})

const result: SweepResult = {
  width: 1,
  frames: 4,
  size: 32,
  macs: 1000,
  params: 10,
  top1: 0.5,
  top5: 0.9,
  meanClassAccuracy: 0.5,
  ece: 0.1,
  samples: 10,
  views: '10x3',
}

describe('a sweep', () => {
  it('has one result for each configuration, the last', async () => {
    const run = join(folder, 'run')
    const sweep = await appendSweep(run)
    await sweep.append(result)
    await sweep.append({ ...result, size: 24 })
    await sweep.append({ ...result, top1: 0.6 })
    await sweep.close()
    expect(await readSweep(run)).toEqual([
      { ...result, top1: 0.6 },
      { ...result, size: 24 },
    ])
    expect(await readPredictions(run, result, '10x3')).toEqual([])
  })
})

describe('a log', () => {
  it('tells steps from validations, and keeps other events', async () => {
    const run = join(folder, 'logged')
    const log = await appendJsonLines(join(run, 'log.jsonl'))
    await log.append({ event: 'start', network: 'X3D' })
    await log.append({ event: 'step', epoch: 0.1, step: 1, lr: 0.1, losses: { full: 1.6, narrowest: null } })
    await log.append({ event: 'validation', epoch: 1, width: 1, frames: 4, size: 32, top1: 0.5 })
    await log.close()
    const events = await readLog(run)
    expect(events.map(({ event }) => event)).toEqual(['start', 'step', 'validation'])
    expect(events.filter(isStep)[0]!.losses).toEqual({ full: 1.6, narrowest: null })
    expect(events.at(-1)!.top1).toBe(0.5)
  })

  it('refuses a step without what a step has', async () => {
    const run = join(folder, 'damaged')
    await (await appendJsonLines(join(run, 'log.jsonl'))).close()
    await writeFile(join(run, 'log.jsonl'), '{"event":"step","epoch":1}\n')
    await expect(readLog(run)).rejects.toThrow('log.jsonl: line 1 has ')
  })
})
