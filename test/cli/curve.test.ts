/** `curve` from the outside, on runs with results in every file that it reads. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { mnVideo } from '../support/cli.ts'
import { makeRun, SMALL_MOBILENET, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'
import { makeSweptRun } from '../support/swept-run.ts'

const folder = await temporaryFolder()
const at = (...names: string[]) => join(folder, ...names)
const run = (...args: string[]) => mnVideo(['curve', ...args], { cwd: folder })
const text = (...names: string[]) => readFile(at(...names), 'utf8')

beforeAll(async () => {
  await makeSweptRun(at('runs/mutual'), SMALL_X3D)
  await makeSweptRun(at('runs/us_net'), `${SMALL_X3D}method: us_net\n`, 0.85)
  await makeSweptRun(at('runs/images'), SMALL_MOBILENET)
  await makeRun(at('runs/fresh'), SMALL_X3D)
})

describe('mn-video curve', () => {
  it('draws a run beside published curves, as SVG, PNG, data and a report', async () => {
    const { code, stdout, stderr } = await run('runs/mutual', '--published', 'x3d')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^mutual +80 /m)
    expect(stdout).toMatch(/^MutualNet-X3D-M +11 +11 +4\.73 GFLOPs 75\.07 % +0\.345 GFLOPs 66\.15 %$/m)
    const svg = await text('runs/mutual/curve.svg')
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/)
    for (const label of [
      'GFLOPs per clip (1e9 multiply-adds), logarithmic',
      'top-1 accuracy (%)',
      'mutual',
      'MutualNet-X3D-M',
      '16×224×1',
      '4×32×1',
    ])
      expect(svg, label).toContain(`>${label}</text>`)
    const width = Number(/ width="(\d+)"/.exec(svg)![1])
    expect(width).toBeLessThanOrEqual(800)
    expect((await sharp(at('runs/mutual/curve.png')).metadata()).width).toBe(2 * width)
    const spec = JSON.parse(await text('runs/mutual/curve.vl.json'))
    expect(spec.$schema).toBe('https://vega.github.io/schema/vega-lite/v6.json')
    expect(spec.data.values).toHaveLength(80 + 11 + 3 + 3)
    const csv = await text('runs/mutual/curve.csv')
    expect(csv).toContain('MutualNet-X3D-M,published,kinetics400,6×192×.63,0.63,6,192,0.59,69.33,yes\r\n')
  })

  it('reports curves, tables, confusion, wrong clips, losses and the configuration in one file', async () => {
    const report = await text('runs/mutual/report.html')
    expect(report).not.toMatch(/<script|<link|src=/)
    expect(report.match(/<svg /g)).toHaveLength(2)
    for (const part of [
      'Where the numbers come from',
      'arXiv:2105.07085',
      'Confusion matrix',
      'Training losses of mutual',
      'val/2/clip, &quot;7&quot;.mp4',
      'depth_factor: 0.4',
    ])
      expect(report, part).toContain(part)
    expect(report).toContain('<p class="note">Costs compare, accuracies do not')
  })

  it('lists wrong clips with their scores, the surest mistake first', async () => {
    const lines = (await text('runs/mutual/wrong.csv')).split('\r\n')
    expect(lines[0]).toBe(
      'sample,label,class 1,score 1,class 2,score 2,class 3,score 3,class 4,score 4,class 5,score 5',
    )
    expect(lines).toHaveLength(1 + 5 + 1)
    expect(lines[1]).toMatch(/^"val\/4\/clip, ""39""\.mp4",class 4,class 0,0\.89,class 1,/)
    expect((await text('runs/mutual/classes.csv')).split('\r\n')[1]).toMatch(
      /^0,class 0,8,8,7,0\.875,0\.875,0\.875$/,
    )
    expect((await text('runs/mutual/confusion.csv')).split('\r\n')[1]).toBe('class 0,7,1,0,0,0')
  })

  it('draws several runs into a folder of their own, files named after them', async () => {
    const { code, stdout } = await run(
      'runs/mutual',
      'runs/us_net',
      '--scale',
      'linear',
      '--out',
      'both',
      '--json',
    )
    expect(code).toBe(0)
    const { curves, files } = JSON.parse(stdout)
    expect(curves.map(({ name }: { name: string }) => name)).toEqual(['mutual', 'us_net'])
    expect((await readdir(at('both'))).sort()).toEqual(
      files.map((file: string) => file.slice('both/'.length)).sort(),
    )
    expect(files).toContain('both/us_net-wrong.csv')
    expect(await text('both/curve.svg')).toContain('>MFLOPs per clip (1e6 multiply-adds)</text>')
  })

  it('draws published curves alone, per video where the views are known', async () => {
    const { code, stdout } = await run(
      '--published',
      'ten_views',
      '--published',
      'x3d',
      '--per',
      'video',
      '--out',
      'published',
    )
    expect(code).toBe(0)
    expect(stdout).toMatch(/^TSM +2 +2 +650 GFLOPs 74\.70 %/m)
    expect(stdout).toContain(
      'note: Left out: MutualNet-X3D-M, X3D, published, X3D, re-run. Their costs are per clip',
    )
  })

  it('lists what is published', async () => {
    expect((await run('--list')).stdout.split('\n')).toEqual(
      expect.arrayContaining(['mobilenet_v1', 'slow', 'slowfast', 'x3d']),
    )
  })

  it.each([
    [[], 2, 'nothing to draw. Give a run, or --published NAME'],
    [['--published', 'x4d'], 2, 'nothing published is called "x4d". Give one of mobilenet_v1,'],
    [
      ['runs/fresh'],
      1,
      'runs/fresh: has no accuracies yet. Measure its configurations first: mn-video test runs/fresh',
    ],
    [['runs/none'], 1, 'runs/none: is not a run'],
    [['runs/images', '--published', 'x3d'], 2, 'images classifies images, "X3D-M, Kinetics-400" videos'],
    [['runs/images', '--per', 'video'], 2, 'images have no views: leave out --per video.'],
    [['runs/mutual', '--out', 'runs/mutual/config.yml'], 1, 'runs/mutual/config.yml: cannot be written'],
  ])('says what is wrong with %j', async (args, code, message) => {
    const result = await run(...args)
    expect(result.code).toBe(code)
    expect(result.stderr).toContain(message)
    expect(result.stderr.trim().split('\n').length).toBeLessThanOrEqual(3)
  })

  it('names the damaged line of a sweep, and passes over one that was cut off', async () => {
    await makeSweptRun(at('runs/cut'), SMALL_X3D)
    const whole = await text('runs/cut/sweep.jsonl')
    await writeFile(at('runs/cut/sweep.jsonl'), whole.slice(0, -30))
    expect((await run('runs/cut')).stdout).toMatch(/^cut +79 /m)
    await writeFile(at('runs/cut/sweep.jsonl'), whole.replace('"top1":', '"top1":-'))
    expect((await run('runs/cut')).stderr).toMatch(/^mn-video: runs\/cut\/sweep\.jsonl: line 1 has top1: /)
  })
})
