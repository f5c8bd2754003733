/** `mn-video spans` and `test --spans` as programs, on films that FFmpeg renders. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { readFrameIndex } from '../../src/video/frame-index.ts'
import { mnVideo } from '../support/cli.ts'
import { ffmpeg, renderClip } from '../support/render.ts'
import { makeRun, SMALL_MOBILENET, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

let folder: string
let film: string
let run: string
beforeAll(async () => {
  folder = await temporaryFolder()
  run = join(folder, 'run')
  await makeRun(run, SMALL_X3D)
  film = await renderClip(join(folder, 'a film.mp4'), { seconds: 3, size: '64x48' })
})

/** Scores of untrained weights are near a fifth: every class is a span from the beginning to the end. */
const ALL = ['--min-score', '0.1']
const spans = (...args: string[]) => mnVideo(['spans', film, '--model', run, ...ALL, ...args])

describe('mn-video spans', () => {
  it('prints a line of JSON for each span, and nothing else', async () => {
    const { code, stdout, stderr } = await spans('--json')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = stdout.trimEnd().split('\n')
    const found = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(found.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4])
    for (const span of found) {
      expect(span).toEqual({
        file: film,
        start: 0,
        end: 3,
        label: `class ${span.index}`,
        index: span.index,
        score: expect.closeTo(0.2, 1),
        peak: expect.closeTo(0.2, 1),
      })
    }
  })

  it('leaves out the background, and what does not reach the threshold', async () => {
    const { stdout } = await spans('--json', '--background', 'class 3')
    expect(stdout).not.toContain('class 3')
    const none = await mnVideo(['spans', film, '--model', run])
    expect(none).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('no class reaches the threshold anywhere'),
    })
  })

  it('writes CSV, and shows people a table with what was looked at', async () => {
    const csv = (await spans('--csv')).stdout.trimEnd().split('\r\n')
    expect(csv[0]).toBe('file,start,end,label,index,score,peak')
    expect(csv).toHaveLength(6)
    const { stdout } = await spans('--stride', '0.5', '--mflops', '5')
    expect(stdout).toMatch(/^chosen {2}width .* per window$/m)
    expect(stdout).toMatch(/^7 windows of 0\.27 s, every 0\.50 s of 3\.00$/m)
    expect(stdout).toMatch(/^ {5}0\.00 – {6}3\.00 s {3}\d+ % {2}\(peak {2}\d+ %\) {2}class 0$/m)
  })

  it('writes subtitles that FFmpeg reads, and a page that points at the film', async () => {
    const [vtt, html] = [join(folder, 'film.vtt'), join(folder, 'pages', 'film.html')]
    await mkdir(join(folder, 'pages'), { recursive: true })
    expect(await spans('--vtt', vtt, '--html', html)).toMatchObject({ code: 0 })
    const text = await readFile(vtt, 'utf8')
    expect(text).toMatch(/^WEBVTT\n\n00:00:00\.000 --> 00:00:03\.000\nclass 0 \d+ %\n\n/)
    await ffmpeg('-i', vtt, '-f', 'srt', join(folder, 'film.srt'))
    expect(await readFile(join(folder, 'film.srt'), 'utf8')).toContain('00:00:00,000 --> 00:00:03,000')

    const page = await readFile(html, 'utf8')
    expect(page).toContain('<video src="../a%20film.mp4"')
    expect(page.match(/class="lane"/g)).toHaveLength(5)
    expect(page.match(/class="span" data-start="0\.000"/g)).toHaveLength(5)
    // It asks nobody for anything, and its script is one.
    expect(page).not.toMatch(/https?:|@import|url\(/)
    const script = /<script>([\s\S]*)<\/script>/.exec(page)![1]!
    expect(() => new Function(script)).not.toThrow()
  })

  it('escapes what names bring into subtitles and pages', async () => {
    const labels = join(folder, 'labels.txt')
    await writeFile(labels, ['<b>&-->', 'b', 'c', 'd', '"e"'].join('\n'))
    const [vtt, html] = [join(folder, 'names.vtt'), join(folder, 'names.html')]
    await spans('--vtt', vtt, '--html', html, '--labels', labels)
    expect(await readFile(vtt, 'utf8')).toContain('\n&lt;b&gt;&amp;--&gt; ')
    const page = await readFile(html, 'utf8')
    expect(page).not.toContain('<b>')
    expect(page).toContain('&lt;b&gt;&amp;--&gt;')
  })

  it('goes on with the other files where one cannot be read', async () => {
    const missing = join(folder, 'missing.mp4')
    const { code, stdout, stderr } = await mnVideo([
      ...['spans', missing, film, '--model', run, '--json', ...ALL],
    ])
    expect(code).toBe(1)
    expect(stderr).toBe('')
    const [first, ...others] = stdout.trimEnd().split('\n')
    expect(JSON.parse(first!)).toMatchObject({
      file: missing,
      code: 'media',
      error: expect.stringContaining('no such file'),
    })
    expect(others).toHaveLength(5)
  })

  it.each([
    [['--json', '--csv'], 'give one of --json and --csv.'],
    [['--min-score', '1.5'], 'Give a share above 0 and at most 1.'],
    [['--background', 'x'], 'background: there is no class "x".'],
    [['--gflops', '0.0001'], 'the cheapest'],
  ])('refuses %j in one line', async (args, message) => {
    const { code, stderr } = await mnVideo(['spans', film, '--model', run, ...args])
    expect(code).toBeGreaterThan(0)
    expect(stderr).toContain(message)
    expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(3)
  })

  it('never writes over the film, and writes pages of one film alone', async () => {
    const over = await spans('--vtt', film)
    expect(over).toMatchObject({
      code: expect.any(Number),
      stderr: expect.stringContaining('would be written over'),
    })
    const two = await mnVideo(['spans', film, film, '--model', run, '--html', join(folder, 'x.html')])
    expect(two.stderr).toContain('--html is of one video, and 2 are given.')
  })

  it('is for videos', async () => {
    await makeRun(join(folder, 'images'), SMALL_MOBILENET)
    const { stderr } = await mnVideo(['spans', film, '--model', join(folder, 'images')])
    expect(stderr).toContain('which classifies images: they have no spans')
  })
})

describe('mn-video test --spans', () => {
  it('measures what it finds against what is known', async () => {
    const annotations = [{ label: 'class 1', segment: [0, 3] }]
    const database = {
      'a film': { subset: 'validation', annotations },
      other: { subset: 'testing', annotations },
    }
    const list = join(folder, 'known.json')
    await writeFile(list, JSON.stringify({ database }))
    // None reaches a half; that is all that can be known of untrained weights.
    const { code, stdout } = await mnVideo(['test', run, '--spans', list, '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      films: 1,
      spans: { known: 1, found: 0 },
      averageMap: 0,
      unknown: [],
    })
    const written = JSON.parse(await readFile(join(run, 'predictions', 'spans-known.json'), 'utf8'))
    expect(written).toEqual({ version: 'mn-video', external_data: {}, results: { 'a film': [] } })
  })

  it.each([
    ['{', 'is not JSON'],
    ['{"database": {}}', 'has no videos of the subset validation (it has: none at all)'],
    [
      '{"database": {"x": {"subset": "validation", "annotations": [{"label": "a", "segment": [3, 1]}]}}}',
      'a segment ends at 1, before its start at 3',
    ],
    ['{"database": {"x": {"subset": "validation", "annotations": 3}}}', 'database.x.annotations: '],
    ['{"database": {"x": {"subset": "validation", "annotations": []}}}', 'has no video x'],
  ])('says what is wrong with %s', async (text, message) => {
    const list = join(folder, 'wrong.json')
    await writeFile(list, text)
    const { code, stderr } = await mnVideo(['test', run, '--spans', list])
    expect(code).toBe(1)
    expect(stderr).toContain(message)
    expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(3)
  })
})

describe('memory', () => {
  it('does not grow with the film: two hours', async () => {
    const short = await renderClip(join(folder, 'ten.mp4'), { seconds: 10, fps: 5, size: '64x48' })
    const long = join(folder, 'long.mp4')
    await ffmpeg('-stream_loop', '719', '-i', short, '-c', 'copy', long)
    expect((await readFrameIndex(long)).duration).toBeCloseTo(7200, 0)
    const script = join(folder, 'memory.mjs')
    const library = new URL('../../dist/index.js', import.meta.url).href
    await writeFile(
      script,
      `import { findSpans, loadModel } from ${JSON.stringify(library)}
const model = await loadModel(${JSON.stringify(run)})
let [early, most] = [0, 0]
const { windows } = await findSpans(model, ${JSON.stringify(long)}, {
  stride: 7,
  onProgress(done, total) {
    const { rss } = process.memoryUsage()
    if (done < total / 10) early = Math.max(early, rss)
    else most = Math.max(most, rss)
  },
})
console.log(JSON.stringify({ windows, grown: (most - early) / 2 ** 20 }))
`,
    )
    const { stdout } = await promisify(execFile)(process.execPath, [script])
    const { windows, grown } = JSON.parse(stdout) as { windows: number; grown: number }
    expect(windows).toBe(1030)
    expect(grown).toBeLessThan(64)
  })
})
