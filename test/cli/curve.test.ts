/** `curve` from the outside, on runs with results in every file that it reads. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { mnVideo } from '../support/cli.ts'
import { makeRun, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'
import { makeSweptRun } from '../support/swept-run.ts'

const folder = await temporaryFolder()
const run = (...args: string[]) => mnVideo(['curve', ...args], { cwd: folder })

beforeAll(async () => {
  await makeSweptRun(join(folder, 'runs/mutual'), `${SMALL_X3D}dataset: folder\n`)
  await makeRun(join(folder, 'runs/fresh'), SMALL_X3D)
})

describe('mn-video curve', () => {
  it('draws a run beside published curves into its folder, and says what was drawn', async () => {
    const { code, stdout, stderr } = await run('runs/mutual', '--published', 'x3d')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^mutual +60 +19 +2\.65 MFLOPs, 88\.71 % \(88\.4–89\.0\) /m)
    expect(stdout).toMatch(/^MutualNet-X3D-M +11 +11 +4\.73 GFLOPs, 75\.07 % +345 MFLOPs, 66\.15 %$/m)
    expect(stdout).toContain(
      'note: Costs compare, accuracies do not: these are of different data sets: folder (mutual);',
    )
    expect(stdout).toContain('runs/mutual/curve.svg')
    expect(await readdir(join(folder, 'runs/mutual'))).toEqual(
      expect.arrayContaining(['curve.csv', 'curve.svg', 'curve.vl.json', 'report.html', 'wrong.csv']),
    )
  })

  it('gives scripts the points, the notes and the files', async () => {
    const { stdout } = await run('--published', 'ten_views', '--per', 'video', '--out', 'published', '--json')
    const { curves, notes, files } = JSON.parse(stdout)
    expect(curves[0]).toMatchObject({
      name: 'TSM',
      points: [
        { gflops: 330, top1: 74.1 },
        { gflops: 650, top1: 74.7 },
      ],
    })
    expect(notes.filter((note: string) => !note.includes('no fonts'))).toEqual([])
    expect(files).toContain('published/report.html')
    expect(await readFile(join(folder, 'published/curve.svg'), 'utf8')).toContain('GFLOPs per video')
  })

  it('writes no PNG where there are no fonts, and says so: its text would be empty boxes', async () => {
    await writeFile(join(folder, 'fonts.conf'), '<?xml version="1.0"?><fontconfig></fontconfig>')
    const env = { FONTCONFIG_FILE: join(folder, 'fonts.conf') }
    const { code, stdout } = await mnVideo(['curve', '--published', 'slow', '--out', 'bare'], {
      cwd: folder,
      env,
    })
    expect(code).toBe(0)
    expect(stdout).toContain('note: curve.png was not written: this machine has no fonts for its text.')
    expect(await readdir(join(folder, 'bare'))).not.toContain('curve.png')
  })

  it('lists what is published', async () => {
    expect((await run('--list')).stdout.split('\n')).toEqual(
      expect.arrayContaining(['mobilenet_v1', 'slow', 'slowfast', 'x3d']),
    )
  })

  it.each([
    [[], 2, 'nothing to draw. Give a run, or --published NAME'],
    [['runs/mutual', '--x', 'latency', '--published', 'x3d'], 2, 'leave out --published'],
    [['runs/fresh'], 1, 'has no accuracies yet. Measure its configurations first: mn-video test runs/fresh'],
  ])('says what is wrong with %j', async (args, code, message) => {
    const result = await run(...args)
    expect(result.code).toBe(code)
    expect(result.stderr).toContain(message)
    expect(result.stderr.trim().split('\n').length).toBeLessThanOrEqual(3)
  })
})
