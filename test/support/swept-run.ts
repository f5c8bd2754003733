/** A run as training and a sweep leave it, with made-up results: what curves and reports are drawn of. */
import { join } from 'node:path'
import { appendJsonLines } from '../../src/files/json-lines.ts'
import { type Prediction, writePredictions } from '../../src/runs/predictions.ts'
import { readWeightedRun } from '../../src/runs/run-folder.ts'
import { appendSweep, type SweepResult } from '../../src/runs/sweep-results.ts'
import { makeRun } from './small-run.ts'

/** Accuracy grows with the logarithm of cost, from `best` downwards; three configurations are no good. */
export async function makeSweptRun(folder: string, text: string, best = 0.9): Promise<SweepResult[]> {
  const { table, config } = await makeRun(folder, text)
  const { weightsId: weights } = await readWeightedRun(folder)
  const dearest = table.entries.at(-1)!.macs
  const results = table.entries.map(
    ({ width, frames, size, macs, params }, i): SweepResult => ({
      width,
      frames,
      size,
      macs,
      params,
      top1: Math.max(0.2, best + 0.08 * Math.log(macs / dearest) - (i % 7 === 3 ? 0.15 : 0)),
      top5: 1,
      meanClassAccuracy: 0.8,
      ece: 0.05,
      // Enough that differences of half a percent are shown by them.
      samples: 50_000,
      views: '1x1',
      latencyMs: macs / 1e6,
      latencyRangeMs: [macs / 2e6, macs / 5e5],
      weights,
    }),
  )
  const sweep = await appendSweep(folder)
  for (const result of results) await sweep.append(result)
  await sweep.close()

  const answers: Prediction[] = []
  for (let i = 0; i < 40; i++) {
    const label = i % config.num_classes
    const guess = i % 8 === 7 ? (label + 1) % config.num_classes : label
    const classes = [
      guess,
      ...Array.from({ length: config.num_classes }, (_, k) => k).filter((k) => k !== guess),
    ]
    const scores = classes.map((_, place) => (place === 0 ? 0.5 + i / 100 : (0.5 - i / 100) / classes.length))
    answers.push({ sample: `val/${label}/clip, "${i}".mp4`, label, classes, scores })
  }
  await writePredictions(folder, results.at(-1)!, '1x1', answers)

  const log = await appendJsonLines(join(folder, 'log.jsonl'))
  for (let step = 0; step < 300; step++) {
    const wave = 0.1 * Math.sin(step)
    await log.append({
      event: 'step',
      epoch: step / 30,
      step,
      lr: 0.1,
      losses: {
        full: 1.6 * Math.exp(-step / 100) + 0.2 + wave / 4,
        narrowest: 1.2 * Math.exp(-step / 120) + 0.1,
        'random 1': 0.9 * Math.exp(-step / 120) + 0.08,
        'random 2': step === 7 ? null : 0.9 * Math.exp(-step / 130) + 0.08,
      },
      samplesPerSecond: 12,
      waitShare: 0.02,
    })
    if (step % 100 === 99)
      await log.append({
        event: 'validation',
        epoch: step / 30,
        width: 1,
        frames: config.frames,
        size: config.image_size,
        top1: step / 400,
      })
  }
  await log.close()
  return results
}
