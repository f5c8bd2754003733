/** `mn-video curve`: accuracy against cost or latency, of runs beside each other and beside what was published. */
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { MnVideoError } from '../errors.ts'
import { compareRuns } from '../report/compare-runs.ts'
import type { Against, Curve, CurvePoint, Per } from '../report/curves.ts'
import { publishedNames } from '../runs/published.ts'
import { formatMacs } from '../runs/query-table.ts'
import { collect } from './arguments.ts'
import { doing, print } from './progress.ts'
import { formatTable } from './table.ts'

interface Options {
  readonly published?: readonly string[]
  readonly out?: string
  readonly scale: 'linear' | 'log'
  readonly per: Per
  readonly x: Against
  readonly list?: true
  readonly json?: true
}

export function addCurve(program: Command): void {
  program
    .command('curve')
    .description('draw the accuracy-efficiency curves of runs beside the published ones')
    .argument('[runs...]', 'runs that were swept (mn-video test)')
    .option(
      '--published <name>',
      'published curves to draw beside: slow, x3d, mobilenet_v1, …; may be repeated',
      collect,
    )
    .option('--list', 'list what is published, and draw nothing')
    .option('--out <folder>', "where the files go (default: the run's folder; of several runs: curves)")
    .addOption(
      new Option('--x <what>', 'multiply-adds, or milliseconds that `test` measured')
        .choices(['cost', 'latency'])
        .default('cost'),
    )
    .addOption(
      new Option('--scale <scale>', 'of the cost or latency').choices(['linear', 'log']).default('log'),
    )
    .addOption(
      new Option('--per <what>', 'cost of a clip (or image), or of all views of a video')
        .choices(['clip', 'video'])
        .default('clip'),
    )
    .option('--json', 'as JSON: the points, notes and files')
    .addHelpText(
      'after',
      '\nWrites curve.svg, curve.png, curve.csv, curve.vl.json (Vega-Lite) and report.html; with kept predictions\nwrong.csv, classes.csv and confusion.csv.\n' +
        '\nExamples:\n  mn-video curve runs/x3d --published x3d\n  mn-video curve runs/mutual runs/us_net --out comparison --scale linear\n  mn-video curve runs/x3d --x latency --out latency\n  mn-video curve --published mobilenet_v1 --published mobilenet_v2 --out published',
    )
    .action(drawCurves)
}

async function drawCurves(runs: readonly string[], options: Options): Promise<void> {
  const { published = [], scale, per, x: against, json } = options
  if (options.list) return print((await publishedNames()).join('\n'))
  if (runs.length === 0 && published.length === 0) {
    throw new MnVideoError(
      'usage',
      'nothing to draw. Give a run, or --published NAME (--list shows the names).',
    )
  }
  const out = options.out ?? (runs.length === 1 ? runs[0]! : 'curves')
  doing(`reading ${[...runs, ...published].join(', ')} and drawing`)
  const { curves, notes, files } = await compareRuns({ runs, published, out, scale, per, against })
  if (json) return print(JSON.stringify({ curves, notes, files }, null, 2))
  print(
    [
      describe(curves, against),
      ...notes.map((note) => `note: ${note}`),
      `wrote ${files.join(', ')}\nNext: open ${join(out, 'report.html')} in a browser`,
    ].join('\n\n'),
  )
}

/** The ends of every curve: what it costs and reaches at most and at least. */
function describe(curves: readonly Curve[], against: Against): string {
  const price = ({ gflops, latencyMs }: CurvePoint) =>
    against === 'latency' ? `${Number(latencyMs!.toPrecision(4))} ms` : formatMacs(Math.round(1e9 * gflops))
  const point = (curve: Curve, at: number) => {
    const found = curve.points.filter(({ onFrontier }) => onFrontier).at(at)!
    const interval = found.interval?.map((end) => end.toFixed(1)).join('–')
    return `${price(found)}, ${found.top1.toFixed(2)} %${interval ? ` (${interval})` : ''}`
  }
  return formatTable([
    ['series', 'points', 'on frontier', 'best', against === 'latency' ? 'fastest' : 'cheapest'],
    ...curves.map((curve) => [
      curve.name,
      curve.points.length,
      curve.points.filter(({ onFrontier }) => onFrontier).length,
      point(curve, -1),
      point(curve, 0),
    ]),
  ])
}
