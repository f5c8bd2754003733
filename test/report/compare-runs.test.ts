import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { hasFonts } from '../../src/image/rasterise.ts'
import { type CompareOptions, compareRuns } from '../../src/report/compare-runs.ts'
import { frontierOf } from '../../src/runs/frontier.ts'
import { writePredictions } from '../../src/runs/predictions.ts'
import { readRun } from '../../src/runs/run-folder.ts'
import { appendSweep, type SweepResult } from '../../src/runs/sweep-results.ts'
import { writeTable } from '../../src/runs/table-file.ts'
import { SMALL_MOBILENET, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'
import { makeSweptRun } from '../support/swept-run.ts'

const folder = await temporaryFolder()
const at = (...names: string[]) => join(folder, ...names)
const text = (...names: string[]) => readFile(at(...names), 'utf8')
const compare = (runs: readonly string[], options: Partial<CompareOptions> = {}) =>
  compareRuns({ runs: runs.map((name) => at(name)), out: at('out'), ...options })
const OWN = `${SMALL_X3D}dataset: folder\ndataset_dir: motion\n`
let results: SweepResult[]

beforeAll(async () => {
  results = await makeSweptRun(at('mutual'), OWN)
  await makeSweptRun(at('us_net'), `${OWN}method: us_net\n`, 0.85)
  await makeSweptRun(at('images'), SMALL_MOBILENET)
})

describe('a comparison', () => {
  it('draws every result and the frontier of a run beside published curves', async () => {
    const { curves, notes } = await compare(['mutual'], { published: ['x3d'] })
    expect(curves.map(({ name, origin }) => [name, origin])).toEqual([
      ['mutual', 'run'],
      ['MutualNet-X3D-M', 'published'],
      ['X3D, published', 'published'],
      ['X3D, re-run', 'published'],
    ])
    const own = curves[0]!.points
    expect(own).toHaveLength(results.length)
    expect(own.filter(({ onFrontier }) => onFrontier).map(({ gflops, top1 }) => [gflops, top1])).toEqual(
      frontierOf(results).map(({ macs, top1 }) => [macs / 1e9, 100 * top1]),
    )
    expect(notes.filter((note) => !note.includes('fonts'))).toEqual([
      'Costs compare, accuracies do not: these are of different data sets: folder motion (mutual); kinetics400 (MutualNet-X3D-M, X3D, published, X3D, re-run).',
    ])

    const svg = await text('out/curve.svg')
    const words = [
      'GFLOPs per clip (1e9 multiply-adds), logarithmic',
      'top-1 accuracy (%)',
      'mutual',
      'X3D, re-run',
      '16×224×1',
    ]
    for (const word of words) expect(svg, word).toContain(`>${word}</text>`)
    const spec = JSON.parse(await text('out/curve.vl.json'))
    expect(spec.$schema).toBe('https://vega.github.io/schema/vega-lite/v6.json')
    expect(spec.data.values).toHaveLength(results.length + 11 + 3 + 3)
    expect(await text('out/curve.csv')).toContain(
      'MutualNet-X3D-M,published,kinetics400,6×192×.63,0.63,6,192,0.59,69.33,yes,,,,\r\n',
    )
  })

  it('is at most 800 pixels wide, and twice that as a PNG with text where there are fonts', async () => {
    const width = Number(/ width="(\d+)"/.exec(await text('out/curve.svg'))![1])
    expect(width).toBeLessThanOrEqual(800)
    const files = await readdir(at('out'))
    expect(files.includes('curve.png')).toBe(await hasFonts())
    if (files.includes('curve.png'))
      expect((await sharp(at('out/curve.png')).metadata()).width).toBe(2 * width)
  })

  it('has all of it in one report that needs no other file', async () => {
    const report = await text('out/report.html')
    expect(report).not.toMatch(/<script|<link|src=|href="http/)
    expect(report.match(/<svg /g)).toHaveLength(3)
    const parts = [
      'Where the numbers come from',
      'arXiv:2105.07085',
      'Scores of mutual at ',
      'Confusion matrix',
      'Training losses of mutual',
      'depth_factor: 0.4',
    ]
    for (const part of parts) expect(report, part).toContain(part)
    expect(report).toContain('<td>val/2/clip, &quot;7&quot;.mp4</td>')
    expect(report).toContain('<p class="note">Costs compare, accuracies do not')
    for (const tag of ['table', 'tr', 'td', 'th', 'details', 'section', 'figure', 'p'])
      expect(report.match(new RegExp(`<${tag}[ >]`, 'g'))?.length, tag).toBe(
        report.match(new RegExp(`</${tag}>`, 'g'))?.length,
      )
  })

  it('lists wrong clips with their scores, the surest mistake first, and every class', async () => {
    const lines = (await text('out/wrong.csv')).split('\r\n')
    expect(lines[0]).toBe(
      'sample,label,class 1,score 1,class 2,score 2,class 3,score 3,class 4,score 4,class 5,score 5',
    )
    expect(lines).toHaveLength(1 + 5 + 1)
    expect(lines[1]).toMatch(/^"val\/4\/clip, ""39""\.mp4",class 4,class 0,0\.89,class 1,/)
    expect((await text('out/classes.csv')).split('\r\n')[1]).toBe('0,class 0,8,8,7,0.875,0.875,0.875')
    expect((await text('out/confusion.csv')).split('\r\n')[1]).toBe('class 0,7,1,0,0,0')
  })

  it('names the files of several runs after them', async () => {
    const { files } = await compare(['mutual', 'us_net', 'mutual'], { out: at('both'), scale: 'linear' })
    expect((await readdir(at('both'))).sort()).toEqual(
      files.map((file) => file.slice(at('both/').length)).sort(),
    )
    expect(files).toContain(at('both/us_net-wrong.csv'))
    expect(await text('both/curve.svg')).toContain('>MFLOPs per clip (1e6 multiply-adds)</text>')
  })

  it('multiplies by the views of a run for costs per video, and leaves out what has no known views', async () => {
    const sweep = (await text('us_net/sweep.jsonl')).replaceAll('"views":"1x1"', '"views":"10x3"')
    await mkdir(at('viewed'), { recursive: true })
    await writeFile(at('viewed/sweep.jsonl'), sweep)
    await writeFile(at('viewed/config.yml'), await text('us_net/config.yml'))
    const { curves, notes } = await compare(['viewed'], { per: 'video', published: ['x3d', 'ten_views'] })
    expect(curves[0]!.points.at(-1)!.gflops).toBeCloseTo((30 * results.at(-1)!.macs) / 1e9, 9)
    expect(notes[0]).toBe(
      'Left out: MutualNet-X3D-M, X3D, published, X3D, re-run. Their costs are per clip, and how many views a video had is not stated.',
    )
    const perClip = (await compare([], { published: ['ten_views'] })).curves
    expect(perClip.find(({ name }) => name === 'Slow-8×8')!.points[0]!.gflops).toBe(54.5)
  })

  it('draws accuracy against the latencies that were measured, with a frontier of its own', async () => {
    const sweep = (await text('us_net/sweep.jsonl')).trim().split('\n')
    const timed = sweep.map((line) => JSON.parse(line) as SweepResult)
    // The most accurate is made the fastest: nothing else is worth its time.
    const best = timed.reduce((a, b) => (b.top1 > a.top1 ? b : a))
    const { latencyMs: _, ...untimed } = timed[3]!
    const lines = timed.map((one, i) =>
      i === 3 ? untimed : one === best ? { ...one, latencyMs: 0.001 } : one,
    )
    await mkdir(at('timed'), { recursive: true })
    await writeFile(at('timed/sweep.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    await writeFile(at('timed/config.yml'), await text('us_net/config.yml'))
    const { curves, notes } = await compare(['mutual', 'timed'], { against: 'latency', out: at('latency') })
    const [mutual, own] = curves.map(({ points }) => points)
    expect(mutual!.map(({ latencyMs }) => latencyMs)).toEqual(
      results.map(({ latencyMs }) => latencyMs!).sort((a, b) => a - b),
    )
    expect(own).toHaveLength(timed.length - 1)
    expect(own!.filter(({ onFrontier }) => onFrontier).map(({ latencyMs }) => latencyMs)).toEqual([0.001])
    expect(notes.slice(0, 2)).toEqual([
      'Latencies are those of the machine, engine and threads that each run was tested with.',
      'timed: 1 configurations have no latency.',
    ])
    expect(await text('latency/curve.svg')).toContain(
      '>ms per clip (measured, decoding not counted), logarithmic</text>',
    )
    expect(await text('latency/curve.csv')).toMatch(/^mutual,run,.*,yes,[\d.]+,50000,[\d.]+,[\d.]+\r$/m)
    const none = lines.map((line) => JSON.stringify({ ...line, latencyMs: undefined }))
    await writeFile(at('timed/sweep.jsonl'), `${none.join('\n')}\n`)
    await expect(compare(['timed'], { against: 'latency' })).rejects.toThrow(
      'timed: its query table has no latencies. Measure them with its accuracies: mn-video test',
    )
  })

  it('draws nothing that earlier weights of a run reached', async () => {
    const swept = await makeSweptRun(at('trained on'), OWN)
    const sweep = await appendSweep(at('trained on'))
    await sweep.append({ ...swept[0]!, top1: 0.99, weights: '0123456789abcdef' })
    await sweep.close()
    const { curves } = await compare(['trained on'])
    expect(curves[0]!.points).toHaveLength(swept.length)
    expect(Math.max(...curves[0]!.points.map(({ top1 }) => top1))).toBeLessThan(99)
  })

  it('draws what was measured with the views of the table, and reports the answers with them', async () => {
    const name = 'of views'
    const swept = await makeSweptRun(at(name), OWN)
    const { table } = await readRun(at(name))
    // The one whose answers with a single view are kept.
    const one = swept.at(-1)!
    const sweep = await appendSweep(at(name))
    await sweep.append({ ...one, top1: 0.99, views: '10x3' })
    await sweep.close()
    const wrong = { label: 0, classes: [1, 0, 2, 3, 4], scores: [0.6, 0.1, 0.1, 0.1, 0.1] }
    await writePredictions(at(name), one, '10x3', [{ sample: 'seen thirty times', ...wrong }])
    const drawn = async (views: string) => {
      await writeTable(at(name), { ...table, trained: true, views }, new Map())
      const { curves } = await compare([name])
      return {
        best: Math.max(...curves[0]!.points.map(({ top1 }) => top1)),
        reported: (await text('out/wrong.csv')).includes('seen thirty times'),
      }
    }
    const best = 100 * Math.max(...swept.map(({ top1 }) => top1))
    expect(await drawn('1x1')).toEqual({ best, reported: false })
    expect(await drawn('10x3')).toEqual({ best: 99, reported: true })
  })

  it('draws a sweep beside a damaged table where it is all of one kind, and else says what to do', async () => {
    const swept = await makeSweptRun(at('damaged'), OWN)
    await writeFile(at('damaged/query-table.json'), (await text('damaged/query-table.json')).slice(0, -9))
    expect((await compare(['damaged'])).curves[0]!.points).toHaveLength(swept.length)
    const sweep = await appendSweep(at('damaged'))
    await sweep.append({ ...swept[0]!, views: '10x3' })
    await sweep.close()
    await expect(compare(['damaged'])).rejects.toThrow(
      `damaged/query-table.json: is not JSON. The file is damaged. Take the original, or test the run again: mn-video test ${at('damaged')}`,
    )
  })

  it('says where runs of one data set were tested on different samples', async () => {
    for (const [name, data] of [
      ['first', 'a'],
      ['second', 'b'],
    ] as const) {
      const swept = await makeSweptRun(at(name), OWN)
      await writeFile(
        at(`${name}/sweep.jsonl`),
        swept.map((result) => `${JSON.stringify({ ...result, data, settings: 's' })}\n`).join(''),
      )
    }
    const note = 'Costs compare, accuracies do not: these were tested on different samples: first, second.'
    expect((await compare(['first', 'second'])).notes).toContain(note)
    expect((await compare(['first'])).notes).not.toContain(note)
  })

  it('tells series of one name apart', async () => {
    const { curves } = await compare([], {
      published: ['wideresnet_cifar10', 'wideresnet_cifar100', 'resnet50'],
    })
    const names = curves.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toContain('MutualNet (cifar100)')
    expect(names).toContain('CutMix')
  })

  it('is the same, byte for byte, when it is made again', async () => {
    const read = () =>
      Promise.all(
        ['curve.svg', 'curve.vl.json', 'curve.csv', 'report.html'].map((name) => text('again', name)),
      )
    await compare(['mutual'], { out: at('again') })
    const first = await read()
    await compare(['mutual'], { out: at('again') })
    expect(await read()).toEqual(first)
  })

  it.each([
    [['images'], { published: ['x3d'] }, 'images classifies images, "X3D-M, Kinetics-400" videos'],
    [['images'], { per: 'video' }, 'images have no views: leave out --per video.'],
    [[], {}, 'nothing to draw. Give a run, or --published NAME.'],
    [[], { published: ['slow'], per: 'video' }, 'nothing to draw per video. Left out: MutualNet-Slow-8×8'],
    [[], { published: ['x4d'] }, 'nothing published is called "x4d". Give one of mobilenet_v1,'],
    [['none'], {}, 'none: is not a run'],
    [
      ['mutual'],
      { against: 'latency', published: ['x3d'] },
      'published curves have no latency on this machine',
    ],
  ] as const)('of %j with %j is refused', async (runs, options, message) => {
    await expect(compare(runs, options)).rejects.toThrow(message)
  })

  it('names a damaged line of a sweep, and passes over one that was cut off', async () => {
    await makeSweptRun(at('cut'), OWN)
    const whole = await text('cut/sweep.jsonl')
    await writeFile(at('cut/sweep.jsonl'), whole.slice(0, -30))
    expect((await compare(['cut'])).curves[0]!.points).toHaveLength(results.length - 1)
    await writeFile(at('cut/sweep.jsonl'), whole.replace('"top1":', '"top1":-'))
    await expect(compare(['cut'])).rejects.toThrow('cut/sweep.jsonl: line 1 has top1: ')
  })

  it('cannot be written where a file is', async () => {
    await expect(compare(['mutual'], { out: at('mutual/config.yml') })).rejects.toThrow(
      'config.yml: cannot be written',
    )
    await rm(at('mutual/predictions'), { recursive: true })
    const { files } = await compare(['mutual'], { out: at('quiet') })
    expect(files.some((file) => file.endsWith('wrong.csv'))).toBe(false)
  })
})
