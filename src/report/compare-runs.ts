/** Draws runs beside each other and beside what was published, and writes the drawing, its data and a report. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MnVideoError, reasonOf } from '../errors.ts'
import { classReport } from '../evaluation/confusion.ts'
import { formatCsv } from '../files/csv.ts'
import { writeAtomically } from '../files/write.ts'
import { hasFonts, svgToPng } from '../image/rasterise.ts'
import { predictionsCsv, wrongPredictions } from '../runs/predictions.ts'
import { loadPublished, type Published } from '../runs/published.ts'
import { curveChart } from './chart.ts'
import { type Answers, type ComparedRun, readComparedRuns } from './compared-run.ts'
import {
  type Against,
  type Curve,
  configurationLabel,
  mediaOf,
  type Per,
  publishedCurves,
  runCurve,
} from './curves.ts'
import { lossChart } from './loss-chart.ts'
import { classReportCsv, confusionCsv } from './metrics-files.ts'
import { reliabilityBins, reliabilityChart } from './reliability-chart.ts'
import { type Report, reportHtml } from './report.ts'
import { drawSvg } from './vega.ts'

export interface CompareOptions {
  /** Folders of runs; may be none where something published is drawn. */
  readonly runs: readonly string[]
  /** Names that `loadPublished` knows. */
  readonly published?: readonly string[]
  /** Where the files go; made where it is not there. Files of an earlier comparison are replaced. */
  readonly out: string
  readonly scale?: 'linear' | 'log'
  readonly per?: Per
  /** Cost by default. Published curves have no latency. */
  readonly against?: Against
}

export interface Comparison {
  readonly curves: readonly Curve[]
  /** What a reader must know: what was left out and why, what cannot be compared. */
  readonly notes: readonly string[]
  /** Paths of what was written. */
  readonly files: readonly string[]
}

/** Pixels of the PNG for one of the SVG: sharp at twice the size. */
const PNG_SCALE = 2

/**
 * @throws MnVideoError `usage` for an unknown published name, or nothing to draw; `run` for a run without
 *   accuracies, without latencies where they are asked for, or a folder that cannot be written
 */
export async function compareRuns(options: CompareOptions): Promise<Comparison> {
  const { out, scale = 'log', per = 'clip', against = 'cost' } = options
  if (against === 'latency' && (options.published ?? []).length > 0) {
    throw new MnVideoError(
      'usage',
      'published curves have no latency on this machine: leave out --published, or draw against cost.',
    )
  }
  const runs = await readComparedRuns(options.runs)
  const published = await Promise.all([...new Set(options.published ?? [])].map(loadPublished))
  const media = mediumOf(runs, published, per)
  const { curves, notes } = curvesOf(runs, published, per, against)
  const unit = media === 'image' ? 'image' : per
  const title = titleOf(runs, published, against)
  const chart = curveChart(curves, { title, subtitle: subtitleOf(media), per: unit, against, scale })
  const curveSvg = await drawSvg(chart)
  const drawn: Report['runs'][number][] = []
  for (const run of runs) {
    const losses = lossChart(run.name, run.steps)
    const reliability = run.answers && reliabilityOf(run, run.answers)
    drawn.push({
      ...run,
      ...(losses && { lossSvg: await drawSvg(losses) }),
      ...(reliability && { reliabilitySvg: await drawSvg(reliability) }),
    })
  }
  const png = (await hasFonts()) ? await svgToPng(curveSvg, PNG_SCALE) : undefined
  if (!png) {
    notes.push(
      'curve.png was not written: this machine has no fonts for its text. Install some (apt-get install fonts-dejavu-core), or use curve.svg.',
    )
  }
  const files = new Map<string, string | Uint8Array>([
    ['curve.vl.json', `${JSON.stringify(chart, null, 2)}\n`],
    ['curve.svg', curveSvg],
    ...(png ? [['curve.png', png] as const] : []),
    ['curve.csv', curvesCsv(curves, unit)],
    ...runs.flatMap((run) => answerFiles(run, runs.length > 1)),
    ['report.html', reportHtml({ title, notes, curveSvg, curves, per: unit, runs: drawn })],
  ])
  return { curves, notes, files: await writeFiles(out, files) }
}

/** @throws MnVideoError `usage` when costs of different things would share an axis, or nothing is to be drawn */
function mediumOf(
  runs: readonly ComparedRun[],
  published: readonly Published[],
  per: Per,
): 'video' | 'image' {
  const medium = mediaOf([
    ...runs,
    ...published.map(({ title, per: unit }) => ({
      name: `"${title}"`,
      media: unit === 'image' ? ('image' as const) : ('video' as const),
    })),
  ])
  if (medium === undefined)
    throw new MnVideoError('usage', 'nothing to draw. Give a run, or --published NAME.')
  if (medium === 'image' && per === 'video')
    throw new MnVideoError('usage', 'images have no views: leave out --per video.')
  return medium
}

function curvesOf(runs: readonly ComparedRun[], published: readonly Published[], per: Per, against: Against) {
  const notes: string[] = against === 'latency' ? latencyNotes(runs) : []
  const all = runs.map((run) => runCurve(run, per, against))
  for (const one of published) {
    const { curves: found, leftOut } = publishedCurves(one, per)
    all.push(...found)
    if (leftOut.length > 0) {
      notes.push(
        `Left out: ${leftOut.join(', ')}. Their costs are per ${one.per}, and how many views a video had is not stated.`,
      )
    }
  }
  const curves = distinctlyNamed(all)
  if (curves.length === 0) throw new MnVideoError('usage', `nothing to draw per ${per}. ${notes.join(' ')}`)
  notes.push(...datasetNotes(curves), ...sampleNotes(runs))
  for (const { name, source } of curves.filter(
    ({ origin, source }) => origin === 'run' && source.startsWith('published'),
  ))
    notes.push(`${name}: its accuracies are ${source}.`)
  return { curves, notes }
}

/** @throws MnVideoError `run` for a run of which nothing was timed */
function latencyNotes(runs: readonly ComparedRun[]): string[] {
  const untimed = runs.flatMap(({ name, folder, results }) => {
    const count = results.filter(({ latencyMs }) => latencyMs === undefined).length
    if (count < results.length)
      return count === 0 ? [] : [`${name}: ${count} configurations have no latency.`]
    throw new MnVideoError(
      'run',
      `${folder}: its query table has no latencies. Measure them with its accuracies: mn-video test ${folder}`,
    )
  })
  return ['Latencies are those of the machine, engine and threads that each run was tested with.', ...untimed]
}

/** Papers compare the same methods on several data sets, and a run may be called anything. */
function distinctlyNamed(curves: readonly Curve[]): Curve[] {
  const names = new Set<string>()
  return curves.map((curve) => {
    const shared = curves.some((other) => other !== curve && other.name === curve.name)
    const base = shared ? `${curve.name} (${curve.dataset})` : curve.name
    let name = base
    for (let n = 2; names.has(name); n++) name = `${base} ${n}`
    names.add(name)
    return { ...curve, name }
  })
}

function datasetNotes(curves: readonly Curve[]): string[] {
  const datasets = [...new Set(curves.map(({ dataset }) => dataset))]
  if (datasets.length < 2) return []
  const parts = datasets.map((dataset) => {
    const names = curves.filter((curve) => curve.dataset === dataset).map(({ name }) => name)
    return `${dataset} (${names.join(', ')})`
  })
  return [`Costs compare, accuracies do not: these are of different data sets: ${parts.join('; ')}.`]
}

/** Runs whose data sets are called alike, but which were tested on other samples. */
function sampleNotes(runs: readonly ComparedRun[]): string[] {
  const of = ({ results }: ComparedRun) => results.find(({ data }) => data !== undefined)?.data
  const measured = runs.filter((run) => of(run) !== undefined)
  const differing = measured.filter((run) =>
    measured.some((other) => other.dataset === run.dataset && of(other) !== of(run)),
  )
  if (differing.length === 0) return []
  return [
    `Costs compare, accuracies do not: these were tested on different samples: ${differing.map(({ name }) => name).join(', ')}.`,
  ]
}

/** Longer titles would make the chart wider than its plot. */
const TITLE_LETTERS = 60

function titleOf(runs: readonly ComparedRun[], published: readonly Published[], against: Against): string {
  const what = `Accuracy against ${against}`
  const names = new Set([...runs.map(({ network }) => network.name), ...published.map(({ title }) => title)])
  const title = `${what}: ${[...names].join('; ')}`
  return title.length <= TITLE_LETTERS ? title : what
}

const subtitleOf = (media: 'video' | 'image'): string =>
  `Labels: ${media === 'video' ? 'frames × size × width' : 'width-size'}. Bars: 95 %. Small: not on the frontier.`

const curvesCsv = (curves: readonly Curve[], per: Per | 'image'): string =>
  formatCsv([
    [
      'series',
      'origin',
      'data set',
      'label',
      'width',
      'frames',
      'size',
      `GFLOPs per ${per}`,
      'top-1 (%)',
      'on frontier',
      `ms per ${per}`,
      'samples',
      'top-1 low (%)',
      'top-1 high (%)',
    ],
    ...curves.flatMap(({ name, origin, dataset, points }) =>
      points.map(({ label, configuration, gflops, latencyMs, top1, samples, interval, onFrontier }) => [
        name,
        origin,
        dataset,
        label,
        configuration?.width,
        configuration?.frames,
        configuration?.size,
        Number(gflops.toPrecision(9)),
        Number(top1.toPrecision(6)),
        onFrontier ? 'yes' : 'no',
        latencyMs,
        samples,
        ...(interval ?? [undefined, undefined]).map((end) => end && Number(end.toPrecision(6))),
      ]),
    ),
  ])

const reliabilityOf = ({ name, network }: ComparedRun, { configuration, predictions }: Answers) =>
  reliabilityChart(
    `Scores of ${name} at ${configurationLabel(configuration, network.media)}`,
    reliabilityBins(predictions),
  )

/** Wrong answers, classes and confusions of a run; named after it where there are several. */
function answerFiles(
  { name, answers, labels }: ComparedRun,
  several: boolean,
): (readonly [string, string])[] {
  if (!answers) return []
  const prefix = several ? `${name.replace(/[^\w.-]+/g, '_')}-` : ''
  const { predictions, confusion } = answers
  return [
    [`${prefix}wrong.csv`, predictionsCsv(wrongPredictions(predictions), labels)],
    [`${prefix}classes.csv`, classReportCsv(classReport(confusion), labels)],
    [`${prefix}confusion.csv`, confusionCsv(confusion, labels)],
  ]
}

async function writeFiles(out: string, files: ReadonlyMap<string, string | Uint8Array>): Promise<string[]> {
  try {
    await mkdir(out, { recursive: true })
    // One of an earlier comparison would show something else.
    if (!files.has('curve.png')) await rm(join(out, 'curve.png'), { force: true })
    for (const [name, content] of files) await writeAtomically(join(out, name), [Buffer.from(content)])
  } catch (error) {
    throw new MnVideoError('run', `${out}: cannot be written: ${reasonOf(error)}.`, { cause: error })
  }
  return [...files.keys()].map((name) => join(out, name))
}
