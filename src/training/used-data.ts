/** What a run was trained on: noted in its log at every start, and compared when it goes on. */
import { join } from 'node:path'
import { z } from 'zod'
import { fingerprintSchema } from '../data/curation/fingerprint.ts'
import type { openDatasets, Split } from '../data/sets/dataset.ts'
import { openFile } from '../files/read.ts'
import type { DataChangedEvent, StartEvent, UsedData } from '../runs/log.ts'
import { LOG } from '../runs/run-files.ts'

type Data = StartEvent['data']

const SPLITS: readonly Split[] = ['train', 'val']

export async function usedData(datasets: Awaited<ReturnType<typeof openDatasets>>): Promise<Data> {
  const of = async (split: Split): Promise<UsedData> => ({
    origin: datasets[split].origin,
    ...(await datasets[split].fingerprint()),
  })
  return { train: await of('train'), val: await of('val') }
}

const used = fingerprintSchema.extend({ origin: z.string() })
const start = z.looseObject({ event: z.literal('start'), data: z.object({ train: used, val: used }) })

/**
 * What a run had when it last began or went on; undefined where its log does not say. Read line by line, because the
 * log of a long training is large.
 */
export async function lastUsedData(run: string): Promise<Data | undefined> {
  const file = await openFile(join(run, LOG)).catch(() => undefined)
  if (!file) return undefined
  let last: Data | undefined
  for await (const line of file.readLines()) {
    if (line.includes('"event":"start"')) last = startIn(line)?.data ?? last
  }
  return last
}

function startIn(line: string): z.infer<typeof start> | undefined {
  try {
    return start.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}

/** The splits whose samples are not those of before; where they lie does not matter. */
export const changedData = (before: Data, now: Data): DataChangedEvent[] =>
  SPLITS.filter((split) => before[split].sha256 !== now[split].sha256).map((split) => ({
    event: 'data-changed',
    split,
    before: before[split],
    now: now[split],
  }))
