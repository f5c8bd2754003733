/** Measuring latencies where a budget in time needs them. */
import type { Model } from '../inference/model.ts'
import { isReady } from '../runs/query-table.ts'
import { countMeasured, warn } from './progress.ts'

/** A budget in time needs the times of all that can run: measured here unless they were before. */
export async function timeOnce(model: Model): Promise<void> {
  const { table } = model
  const missing = table.entries.filter((entry) => isReady(table, entry) && !model.latencyOf(entry))
  if (missing.length === 0) return
  warn('measuring latencies on this machine, once …')
  await model.measureLatencies(countMeasured(missing.length), { missing: true })
}
