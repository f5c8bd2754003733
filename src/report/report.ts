/** A comparison of runs as one HTML file that needs nothing else: drawings, tables, configurations. */
import { type ClassMetrics, classReport, meanClassAccuracy, worstMistakes } from '../evaluation/confusion.ts'
import { type Html, html, htmlTable, raw } from '../files/html.ts'
import { frontierOf } from '../runs/frontier.ts'
import { wilson } from '../runs/interval.ts'
import { wrongPredictions } from '../runs/predictions.ts'
import type { Answers, ComparedResult, ComparedRun } from './compared-run.ts'
import { type Curve, configurationLabel, type Per } from './curves.ts'

export interface Report {
  readonly title: string
  /** What a reader must know before comparing. */
  readonly notes: readonly string[]
  readonly curveSvg: string
  readonly curves: readonly Curve[]
  readonly per: Per | 'image'
  readonly runs: readonly (ComparedRun & { readonly lossSvg?: string; readonly reliabilitySvg?: string })[]
}

/** Larger confusion matrices are listed as their worst mistakes. */
const MATRIX_CLASSES = 30
const LISTED = 100

export function reportHtml(report: Report): string {
  const { title, notes, curveSvg, curves, per, runs } = report
  return `<!doctype html>\n${
    html`<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>${raw(STYLE)}</style></head><body>
<h1>${title}</h1>
${notes.map((note) => html`<p class="note">${note}</p>\n`)}
<figure>${raw(curveSvg)}</figure>
${frontierTable(curves, per)}
${sources(curves)}
${runs.map((run) => runSection(run))}
</body></html>
`.html
  }`
}

/** The points that the chart labels, and all others on request. */
function frontierTable(curves: readonly Curve[], per: Per | 'image'): Html {
  const rows = curves.flatMap(({ name, points }) =>
    points
      .filter(({ onFrontier }) => onFrontier)
      .map(({ label, gflops, latencyMs, top1, interval }) => [
        name,
        label,
        round(gflops, 4),
        latencyMs === undefined ? '–' : round(latencyMs, 3),
        top1.toFixed(2),
        interval ? `${interval[0].toFixed(1)}–${interval[1].toFixed(1)}` : '–',
      ]),
  )
  return html`<details><summary>The points of the curves (${rows.length})</summary>
${htmlTable([['series', 'configuration', `GFLOPs per ${per}`, `ms per ${per}`, 'top-1 (%)', '95 % interval'], ...rows])}</details>`
}

const sources = (curves: readonly Curve[]): Html =>
  html`<h2>Where the numbers come from</h2>
${htmlTable([['series', 'data set', 'source'], ...curves.map(({ name, dataset, source }) => [name, dataset, source])])}`

function runSection(run: Report['runs'][number]): Html {
  const { name, network, config, results, answers, lossSvg, configText } = run
  const frontier = frontierOf(results).reverse()
  return html`<section><h2>${name}</h2>
<p>${network.name}, ${network.classes} classes, ${config.dataset}, method ${config.method}: ${results.length} configurations evaluated, ${frontier.length} on the frontier.</p>
${resultsTable(frontier, network.media)}
${
  results.length > frontier.length
    ? html`<details><summary>All ${results.length} configurations</summary>${resultsTable(results, network.media)}</details>`
    : undefined
}
${answers && answersSection(run, answers)}
${lossSvg === undefined ? undefined : html`<h3>Training</h3><figure>${raw(lossSvg)}</figure>`}
<h3>Configuration</h3>
<details><summary>config.yml, with every default</summary><pre>${configText}</pre></details></section>
`
}

function resultsTable(results: readonly ComparedResult[], media: 'video' | 'image'): Html {
  const percent = (value: number | undefined) => (value === undefined ? '–' : (100 * value).toFixed(2))
  return htmlTable([
    [
      'configuration',
      `GFLOPs per ${media === 'video' ? 'clip' : 'image'}`,
      'parameters',
      'views',
      'top-1 (%)',
      '95 % interval',
      'top-5 (%)',
      'mean class (%)',
      'calibration error (%)',
      'latency (ms)',
      'samples',
    ],
    ...results.map((result) => [
      configurationLabel(result, media),
      round(result.macs / 1e9, 4),
      result.params.toLocaleString('en-US'),
      result.views,
      percent(result.top1),
      intervalOf(result),
      percent(result.top5),
      percent(result.meanClassAccuracy),
      percent(result.ece),
      result.latencyMs === undefined ? '–' : round(result.latencyMs, 3),
      samplesOf(result),
    ]),
  ])
}

function intervalOf({ top1, samples }: ComparedResult): string {
  if (samples === undefined) return '–'
  return wilson(top1, samples)
    .map((end) => (100 * end).toFixed(1))
    .join('–')
}

const samplesOf = ({ samples, unreadable }: ComparedResult): string =>
  samples === undefined ? '–' : `${samples}${unreadable ? ` (${unreadable} more cannot be read)` : ''}`

function answersSection(
  { labels, network, reliabilitySvg }: Report['runs'][number],
  { configuration, predictions, confusion }: Answers,
): Html {
  const wrong = wrongPredictions(predictions)
  const perClass = classReport(confusion)
  const nameOf = (index: number) => labels[index] ?? `class ${index}`
  const score = (value: number | undefined) => (value === undefined ? '–' : `${(100 * value).toFixed(1)} %`)
  const shown = wrong.slice(0, LISTED)
  return html`<h3>Answers at ${configurationLabel(configuration, network.media)}</h3>
<p>${predictions.length} samples, ${wrong.length} wrong; mean class accuracy ${(100 * meanClassAccuracy(confusion)).toFixed(2)} %.</p>
${reliabilitySvg === undefined ? undefined : html`<figure>${raw(reliabilitySvg)}</figure>`}
${confusion.classes <= MATRIX_CLASSES ? matrix(confusion.counts, perClass, nameOf) : undefined}
${
  confusion.classes > MATRIX_CLASSES
    ? html`<h4>Most frequent mistakes</h4>${htmlTable([
        ['class', 'taken for', 'samples'],
        ...worstMistakes(confusion, 50).map(({ label, guess, samples }) => [
          nameOf(label),
          nameOf(guess),
          samples,
        ]),
      ])}`
    : undefined
}
<details><summary>Every class</summary>${htmlTable([
    ['class', 'samples', 'guessed', 'right', 'precision', 'recall', 'F1'],
    ...perClass.map(({ index, support, guessed, right, precision, recall, f1 }) => [
      nameOf(index),
      support,
      guessed,
      right,
      precision.toFixed(3),
      recall.toFixed(3),
      f1.toFixed(3),
    ]),
  ])}</details>
<details><summary>Wrong answers, the surest first${shown.length < wrong.length ? ` (${LISTED} of ${wrong.length}; all in the CSV file beside)` : ''}</summary>${htmlTable(
    [
      ['sample', 'class', 'taken for', 'score', 'score of its class'],
      ...shown.map(({ sample, label, classes, scores }) => [
        sample,
        nameOf(label),
        nameOf(classes[0]!),
        score(scores[0]),
        score(scores[classes.indexOf(label)]),
      ]),
    ],
  )}</details>`
}

/** Rows are classes, columns what they were taken for; the darker, the larger the share of the row. */
function matrix(
  counts: Uint32Array,
  perClass: readonly ClassMetrics[],
  nameOf: (index: number) => string,
): Html {
  const classes = perClass.length
  const cell = (row: number, column: number) => {
    const samples = counts[row * classes + column]!
    const share = samples / Math.max(1, perClass[row]!.support)
    const colour = row === column ? '0, 114, 178' : '213, 94, 0'
    const ink = share > 0.55 ? '; color: white' : ''
    return html`<td class="number" style="background: rgba(${colour}, ${share.toFixed(3)})${ink}" title="${nameOf(row)} taken for ${nameOf(column)}">${samples === 0 ? '' : samples}</td>`
  }
  const indices = perClass.map(({ index }) => index)
  return html`<h4>Confusion matrix</h4>
<table class="matrix"><thead><tr><th>class \\ taken for</th>${indices.map((column) => html`<th><span>${nameOf(column)}</span></th>`)}</tr></thead><tbody>
${indices.map((row) => html`<tr><th>${nameOf(row)}</th>${indices.map((column) => cell(row, column))}</tr>\n`)}</tbody></table>`
}

/** Significant digits, without an exponent. */
const round = (value: number, digits: number): string => String(Number(value.toPrecision(digits)))

const STYLE = `
body { font: 15px/1.45 Helvetica, Arial, "DejaVu Sans", sans-serif; color: #1a1a1a; background: white; max-width: 1000px; margin: 2em auto; padding: 0 1em }
h2 { margin-top: 2em; border-bottom: 1px solid #ccc; padding-bottom: .2em }
figure { margin: 1em 0 } figure svg { max-width: 100%; height: auto }
table { border-collapse: collapse; font-size: 13px; margin: .6em 0 }
th, td { padding: .2em .6em; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.matrix th { font-weight: normal } .matrix td { border: 1px solid #eee; min-width: 1.6em }
.matrix thead span { writing-mode: vertical-rl }
summary { cursor: pointer; margin: .6em 0 }
pre { background: #f6f6f6; padding: 1em; overflow-x: auto; font-size: 12px }
.note { background: #fff6e0; border-left: 4px solid #E69F00; padding: .5em 1em }
`
