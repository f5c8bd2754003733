/** What a configuration answered for each validation sample, one line each; and which answers are wrong. */
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { MnVideoError, reasonOf } from '../errors.ts'
import { formatCsv } from '../files/csv.ts'
import { readJsonLines } from '../files/json-lines.ts'
import { writeAtomically } from '../files/write.ts'
import { type AnswersOf, predictionsFile } from './run-files.ts'

const index = z.int().nonnegative()

const schema = z.object({
  /** The file that was classified, as the data set names it. */
  sample: z.string(),
  label: index,
  /** The five best classes (fewer where the network has fewer), the best first, and their scores. */
  classes: z.array(index).min(1),
  scores: z.array(z.number()).min(1),
})

export type Prediction = Readonly<z.infer<typeof schema>>

/** What a configuration answered with some views (`1x1`); none where that was not kept. */
export const readPredictions = (run: string, of: AnswersOf, views: string): Promise<Prediction[]> =>
  readJsonLines(join(run, predictionsFile(of, views)), schema)

/**
 * Keeps what a configuration answered, in place of what was kept of it: all samples, or those of before.
 *
 * @throws MnVideoError `run` when the file cannot be written
 */
export async function writePredictions(
  run: string,
  of: AnswersOf,
  views: string,
  predictions: Iterable<Prediction>,
): Promise<void> {
  const file = join(run, predictionsFile(of, views))
  try {
    await mkdir(dirname(file), { recursive: true })
    const lines = Array.from(predictions, (each) => `${JSON.stringify(each)}\n`)
    await writeAtomically(file, [Buffer.from(lines.join(''))])
  } catch (error) {
    throw new MnVideoError('run', `${file}: cannot be written: ${reasonOf(error)}.`, { cause: error })
  }
}

/** Those whose best class is not the label; the surest mistake first. */
export const wrongPredictions = (predictions: readonly Prediction[]): Prediction[] =>
  predictions
    .filter(({ label, classes }) => classes[0] !== label)
    .sort((a, b) => b.scores[0]! - a.scores[0]! || (a.sample < b.sample ? -1 : 1))

/** One line per prediction: the sample, its label, and the best classes with their scores. */
export function predictionsCsv(predictions: readonly Prediction[], labels: readonly string[]): string {
  const places = Math.max(0, ...predictions.map(({ classes }) => classes.length))
  const nameOf = (k: number) => labels[k] ?? `class ${k}`
  return formatCsv([
    [
      'sample',
      'label',
      ...Array.from({ length: places }, (_, i) => [`class ${i + 1}`, `score ${i + 1}`]).flat(),
    ],
    ...predictions.map(({ sample, label, classes, scores }) => [
      sample,
      nameOf(label),
      ...classes.flatMap((k, i) => [nameOf(k), scores[i]]),
    ]),
  ])
}
