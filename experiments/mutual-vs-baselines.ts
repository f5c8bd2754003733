/**
 * Compares mutual learning with training over widths alone (us_net) and with networks trained separately, each at one
 * cost: the same data, steps and seeds. Runs that are finished are kept, so what was interrupted goes on.
 * `npm run experiment -- motion [--out runs/methods] [--seeds 3]`, or `cifar --dataset-dir DIR`; without a
 * name it only writes docs/results.md anew from the results beside it.
 */
import { access, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { applyOverrides, type Config, loadConfig } from '../src/config/index.ts'
import { makeMotion } from '../src/data/motion/make-motion.ts'
import { openDataset } from '../src/data/sets/dataset.ts'
import { testRun } from '../src/evaluation/test-run.ts'
import type { Configuration } from '../src/network/graph.ts'
import { curveChart } from '../src/report/chart.ts'
import { type Curve, configurationLabel } from '../src/report/curves.ts'
import { drawSvg } from '../src/report/vega.ts'
import { isStep, readLog } from '../src/runs/log.ts'
import { readPredictions } from '../src/runs/predictions.ts'
import { train } from '../src/training/train.ts'
import { type Answered, crossFittedAccuracy, meanOf, spreadOf } from './cross-fitted.ts'

const METHODS = ['mutualnet', 'us_net', 'independent'] as const
type Method = (typeof METHODS)[number]
const NAMES: Readonly<Record<Method, string>> = {
  mutualnet: 'mutual learning',
  us_net: 'widths alone (us_net)',
  independent: 'separate networks',
}

/** What is trained and tested of one data set. */
interface Experiment {
  /** Of so many training samples. */
  readonly title: (samples: number) => string
  readonly media: 'video' | 'image'
  readonly config: string
  readonly set: readonly string[]
  /** Every width × size × frames of these is tested. */
  readonly widths: readonly number[]
  readonly sizes: readonly number[]
  readonly frames: readonly number[]
  /** What the separate networks are trained at; their costs are the budgets. The dearest first. */
  readonly separate: readonly Configuration[]
  /** Keys that train a separate network at its configuration. */
  readonly separateKeys: (configuration: Configuration) => readonly string[]
}

const EXPERIMENTS: Readonly<Record<string, Experiment>> = {
  motion: {
    title: () => 'X3D on the motion set',
    media: 'video',
    config: 'configs/motion-x3d.yml',
    set: ['print_freq=100'],
    widths: [1, 0.8, 0.63],
    sizes: [48, 36, 28],
    frames: [8, 5, 3],
    separate: [
      { width: 1, frames: 8, size: 48 },
      { width: 0.63, frames: 5, size: 48 },
      { width: 0.63, frames: 5, size: 36 },
      { width: 0.63, frames: 3, size: 36 },
      { width: 0.63, frames: 3, size: 28 },
    ],
    // The same stretch of time and the same field of view, as the smaller inputs of mutual learning have.
    separateKeys: ({ width, frames, size }) => [
      `width_mult_range=[${width}, ${width}]`,
      `frames=${frames}`,
      `frame_stride=${Math.round(16 / frames)}`,
      `image_size=${size}`,
      `short_side=${Math.round((54 * size) / 48)}`,
      `train_short_side=[${Math.round((52 * size) / 48)}, ${Math.round((58 * size) / 48)}]`,
    ],
  },
  cifar: {
    title: (images) => `WideResNet-10-1 on ${images.toLocaleString('en')} images of CIFAR-10`,
    media: 'image',
    config: 'configs/wideresnet.yml',
    set: [
      'dataset=cifar10',
      'num_classes=10',
      ...['depth=10', 'widen_factor=1', 'width_mult_range=[0.25, 1.0]', 'width_mult_list=[1.0, 0.5, 0.25]'],
      ...['num_epochs=12', 'validate_every=0', 'print_freq=100'],
      // As it was measured for docs/results.md, before the recipe followed MutualNet's here.
      ...['weight_decay_on=dense', 'calibration_batches=8'],
    ],
    widths: [1, 0.75, 0.5, 0.35, 0.25],
    sizes: [32, 28, 24, 20, 16],
    frames: [1],
    separate: [1, 0.75, 0.5, 0.35, 0.25].map((width) => ({ width, frames: 1, size: 32 })),
    separateKeys: ({ width }) => [`width_mult_range=[${width}, ${width}]`, `width_mult_list=[${width}]`],
  },
}

const RESULTS = 'docs/results'

const summarySchema = z.object({
  title: z.string(),
  media: z.enum(['video', 'image']),
  seeds: z.int().positive(),
  steps: z.int().positive(),
  validation: z.int().positive(),
  /** 1e6 multiply-adds, the dearest first. */
  budgets: z.array(z.object({ mflops: z.number(), label: z.string() })),
  methods: z.array(
    z.object({
      method: z.enum(METHODS),
      /** Percent at each budget, one for each seed. */
      accuracies: z.array(z.array(z.number())),
      /** Percent, averaged over budgets on a logarithmic scale; one for each seed. */
      area: z.array(z.number()),
    }),
  ),
})
type Summary = z.infer<typeof summarySchema>

const { values: options, positionals } = parseArgs({
  options: {
    out: { type: 'string', default: 'runs/methods' },
    seeds: { type: 'string', default: '3' },
    'dataset-dir': { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
  },
  allowPositionals: true,
})

for (const name of positionals) {
  const experiment = EXPERIMENTS[name]
  if (!experiment) throw new Error(`${name}: there are ${Object.keys(EXPERIMENTS).join(' and ')}.`)
  await compare(name, experiment)
}
await writeDocument()

async function compare(name: string, experiment: Experiment): Promise<void> {
  const folder = join(options.out, name)
  const data = options['dataset-dir'] ?? join(folder, 'data')
  if (!options['dataset-dir']) {
    if (name !== 'motion') throw new Error(`${name}: give --dataset-dir, the folder of its files.`)
    await makeData(data)
  }
  const seeds = Array.from({ length: Number(options.seeds) }, (_, i) => i + 1)
  const base = applyOverrides(await loadConfig(experiment.config), [
    `dataset_dir=${data}`,
    ...experiment.set,
    ...options.set,
  ])
  const title = experiment.title((await openDataset(base, 'train')).size)
  const answered = new Map<Method, Answered[][]>()
  let steps = 0
  for (const method of METHODS) {
    const perSeed: Answered[][] = []
    for (const seed of seeds) {
      const answers: Answered[] = []
      for (const { run, config, grid } of runsOf(experiment, base, method, seed)) {
        steps = await trainOnce(join(folder, run), config)
        answers.push(...(await answersOf(join(folder, run), grid)))
      }
      perSeed.push(answers)
    }
    answered.set(method, perSeed)
  }
  await mkdir(RESULTS, { recursive: true })
  const summary = summarise(title, experiment, answered, steps)
  await writeFile(join(RESULTS, `${name}.json`), `${JSON.stringify(summary, null, 1)}\n`)
  await writeFile(join(RESULTS, `${name}.svg`), await drawSvg(chartOf(title, experiment, answered)))
}

async function makeData(out: string): Promise<void> {
  if (await exists(join(out, 'val.csv'))) return
  await makeMotion({ out, validation: 480 })
}

interface Grid {
  readonly widths: readonly number[]
  readonly sizes: readonly number[]
  readonly frames: readonly number[]
}

/** What is trained for one seed of a method: one network, or one for each budget. */
function runsOf(experiment: Experiment, base: Config, method: Method, seed: number) {
  const keys = [`method=${method}`, `random_seed=${seed}`]
  const { widths, sizes, frames } = experiment
  if (method !== 'independent') {
    return [{ run: `${method}-${seed}`, config: applyOverrides(base, keys), grid: { widths, sizes, frames } }]
  }
  return experiment.separate.map((configuration) => ({
    run: `${method}-${configuration.width}-${configuration.frames}-${configuration.size}-${seed}`,
    config: applyOverrides(base, [...keys, ...experiment.separateKeys(configuration)]),
    grid: { widths: [configuration.width], sizes: [configuration.size], frames: [configuration.frames] },
  }))
}

/** The steps of a run, which is trained now, or to its end, or not at all where that is reached. */
async function trainOnce(run: string, config: Config): Promise<number> {
  if (!(await exists(join(run, 'model.safetensors')))) {
    const started = Date.now()
    await train(config, { folder: run, resume: await exists(join(run, 'log.jsonl')) })
    console.log(`${run}: ${Math.round((Date.now() - started) / 1000)} s`)
  }
  return (await readLog(run)).findLast(isStep)!.step
}

async function answersOf(run: string, grid: Grid): Promise<Answered[]> {
  const { results } = await testRun(run, grid)
  return Promise.all(
    results.map(async (result) => {
      const { width, frames, size, macs, unreadable } = result
      if (unreadable)
        throw new Error(`${run}: ${unreadable} samples cannot be read: methods must see the same ones`)
      const configuration = { width, frames, size }
      const predictions = await readPredictions(run, result, '1x1')
      return { configuration, macs, right: predictions.map(({ label, classes }) => classes[0] === label) }
    }),
  )
}

function summarise(
  title: string,
  experiment: Experiment,
  answered: ReadonlyMap<Method, readonly (readonly Answered[])[]>,
  steps: number,
): Summary {
  const { media, separate } = experiment
  const [first] = answered.get('independent')!
  const budgets = separate.map((configuration) => {
    const { macs } = first!.find((one) => sameAs(one.configuration, configuration))!
    return { macs, mflops: macs / 1e6, label: configurationLabel(configuration, media) }
  })
  const [dearest, cheapest] = [budgets[0]!.macs, budgets.at(-1)!.macs]
  const ladder = Array.from({ length: 100 }, (_, i) => cheapest * (dearest / cheapest) ** ((i + 0.5) / 100))
  return {
    title,
    media,
    seeds: answered.get('independent')!.length,
    steps,
    validation: first![0]!.right.length,
    budgets: budgets.map(({ mflops, label }) => ({ mflops, label })),
    methods: METHODS.map((method) => {
      const seeds = answered.get(method)!
      const at = (macs: number) => seeds.map((one) => 100 * crossFittedAccuracy(one, macs))
      const area = ladder.map(at)
      return {
        method,
        accuracies: budgets.map(({ macs }) => at(macs)),
        area: seeds.map((_, seed) => meanOf(area.map((accuracies) => accuracies[seed]!))),
      }
    }),
  }
}

function sameAs(a: Configuration, b: Configuration): boolean {
  return a.width === b.width && a.frames === b.frames && a.size === b.size
}

/** Accuracies of every configuration, averaged over seeds. */
function chartOf(
  title: string,
  { media }: Experiment,
  answered: ReadonlyMap<Method, readonly (readonly Answered[])[]>,
) {
  const curves = METHODS.map((method): Curve => {
    const seeds = answered.get(method)!
    const points = seeds[0]!
      .map(({ configuration, macs }) => ({
        configuration,
        macs,
        top1:
          100 *
          meanOf(seeds.map((one) => shareRight(one.find((o) => sameAs(o.configuration, configuration))!))),
      }))
      .sort((a, b) => a.macs - b.macs || b.top1 - a.top1)
    return {
      name: NAMES[method],
      origin: 'run',
      drawnAs: method === 'independent' ? 'points' : 'curve',
      dataset: title,
      source: 'measured',
      points: points.map(({ configuration, macs, top1 }, i) => ({
        gflops: macs / 1e9,
        top1,
        configuration,
        label: configurationLabel(configuration, media),
        onFrontier: points.slice(0, i).every((cheaper) => cheaper.top1 < top1),
      })),
    }
  })
  return curveChart(curves, {
    title,
    subtitle: 'validation top-1, mean of the seeds',
    against: 'cost',
    per: media === 'video' ? 'clip' : 'image',
    scale: 'log',
  })
}

function shareRight({ right }: Answered): number {
  return right.filter(Boolean).length / right.length
}

/** Writes the tables into docs/results.md, between the marks that name their experiment. */
async function writeDocument(): Promise<void> {
  const file = 'docs/results.md'
  let text = await readFile(file, 'utf8')
  for (const name of Object.keys(EXPERIMENTS)) {
    const path = join(RESULTS, `${name}.json`)
    if (!(await exists(path))) continue
    const summary = summarySchema.parse(JSON.parse(await readFile(path, 'utf8')))
    const [from, to] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`]
    const [start, end] = [text.indexOf(from), text.indexOf(to)]
    if (start < 0 || end < start) throw new Error(`${file}: there is no ${from} … ${to}.`)
    text = `${text.slice(0, start + from.length)}\n${tableOf(name, summary)}\n${text.slice(end)}`
  }
  await writeFile(file, text)
}

function tableOf(name: string, { title, budgets, methods, ...summary }: Summary): string {
  const cell = (values: readonly number[]) => `${meanOf(values).toFixed(1)} ± ${spreadOf(values).toFixed(1)}`
  const columns = budgets.map(({ mflops, label }) => `${mflops.toPrecision(3)} (${label})`)
  const rows = methods.map(
    ({ method, accuracies, area }) =>
      `| ${NAMES[method]} | ${accuracies.map(cell).join(' | ')} | ${cell(area)} |`,
  )
  return [
    '',
    `| top-1 % within MFLOPs | ${columns.join(' | ')} | mean over budgets |`,
    `|---|${columns.map(() => '---').join('|')}|---|`,
    ...rows,
    '',
    `${summary.seeds} seeds, ${summary.steps.toLocaleString('en')} steps each, ${summary.validation} validation samples.`,
    ...verdicts(budgets, methods),
    '',
    `![${title}: top-1 against cost](results/${name}.svg)`,
    '',
  ].join('\n')
}

/** Where mutual learning wins, ties or loses: differences beyond twice their standard error count. */
function verdicts(budgets: Summary['budgets'], methods: Summary['methods']): string[] {
  const ours = methods.find(({ method }) => method === 'mutualnet')!
  return methods
    .filter((other) => other !== ours)
    .map((other) => {
      const words = budgets.map(({ mflops }, i) => {
        const [mine, theirs] = [ours.accuracies[i]!, other.accuracies[i]!]
        const difference = meanOf(mine) - meanOf(theirs)
        const error = Math.hypot(spreadOf(mine), spreadOf(theirs)) / Math.sqrt(mine.length)
        const word = Math.abs(difference) <= 2 * error ? 'ties' : difference > 0 ? 'wins' : 'loses'
        return `${word} at ${mflops.toPrecision(3)} (${difference >= 0 ? '+' : '−'}${Math.abs(difference).toFixed(1)})`
      })
      return `Mutual learning against ${NAMES[other.method]}: ${words.join(', ')}.`
    })
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
