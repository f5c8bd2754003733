/** The page of a film's spans, in a real browser where there is one; skipped, and counted, without. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { timelineHtml } from '../../src/report/timeline.ts'
import { browserPath, hasBrowser } from '../support/browser.ts'
import { ffmpeg } from '../support/render.ts'
import { temporaryFolder } from '../support/small-run.ts'

const span = (index: number, start: number, end: number) => ({
  ...{ index, label: `class <${index}>`, start, end, score: 0.9, peak: 0.95 },
})
const spans = [span(0, 0, 2), span(1, 2.5, 6), span(0, 7, 10)]
const windows = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((start) => ({
  ...{ start, end: start + 2, scores: Float32Array.of(start < 2 ? 0.9 : 0.1, start < 2 ? 0.1 : 0.9) },
}))
const page = () =>
  timelineHtml({
    title: 'a <film>',
    source: 'film.webm',
    film: {
      ...{ file: 'film.webm', duration: 10, window: 2, stride: 1, windows: windows.length, spans },
      configuration: { width: 1, frames: 4, size: 32, macs: 1, params: 1 },
    },
    windows,
    note: 'a note',
  })

describe('the page of a film', () => {
  it('is complete in itself, and says nothing it was not given as markup', () => {
    const html = page()
    expect(html).toContain('<title>a &lt;film&gt;</title>')
    expect(html).not.toMatch(/<film>|class <\d>|https?:|@import|url\(/)
    // One lane a class, the one with the longest spans first.
    expect([...html.matchAll(/class="name">([^<]*)</g)].map(([, name]) => name)).toEqual([
      'class &lt;0&gt;',
      'class &lt;1&gt;',
    ])
    expect(html.match(/<polyline points="([^"]*)"/)![1]!.split(' ')).toHaveLength(windows.length)
  })

  it('says so where there are no spans', () => {
    const html = timelineHtml({
      title: 'x',
      source: 'film.webm',
      film: {
        ...{ file: 'x', duration: 1, window: 1, stride: 1, windows: 1, spans: [] },
        configuration: { width: 1, frames: 4, size: 32, macs: 1, params: 1 },
      },
      windows: [],
      note: '',
    })
    expect(html).toContain('No class reaches the threshold anywhere.')
  })

  it.skipIf(!hasBrowser)('goes to spans by keys and clicks, in a browser', async () => {
    const folder = await temporaryFolder()
    // A format that every build of Chromium plays.
    await ffmpeg(
      ...['-f', 'lavfi', '-i', 'testsrc2=size=64x48:rate=10:duration=10', '-c:v', 'libvpx', '-g', '5'],
      join(folder, 'film.webm'),
    )
    const probe = `<script>
addEventListener('load', async () => {
  const video = document.querySelector('video'), told = []
  const wait = (ms) => new Promise((settle) => setTimeout(settle, ms))
  while (video.readyState < 1) await wait(50)
  const tell = async (act) => { act(); await wait(400); told.push(video.currentTime.toFixed(1)) }
  const key = (name) => document.dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true }))
  await tell(() => key('n')); await tell(() => key('N')); await tell(() => key('p'))
  await tell(() => key('ArrowRight')); await tell(() => key('ArrowLeft'))
  await tell(() => document.querySelectorAll('.span')[1].click())
  await tell(() => document.querySelectorAll('tr a')[1].click())
  const track = document.querySelector('.track'), box = track.getBoundingClientRect()
  await tell(() => track.dispatchEvent(new MouseEvent('click', { clientX: box.left + box.width / 2, bubbles: true })))
  document.title = told.join(' ')
})</script></body>`
    const file = join(folder, 'page.html')
    await writeFile(file, page().replace('</body>', probe))
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--virtual-time-budget=15000', '--dump-dom']
    const { stdout } = await promisify(execFile)(browserPath!, [...flags, `file://${file}`], {
      maxBuffer: 2 ** 24,
      timeout: 60_000,
    })
    // The second button of the first lane is the third span.
    expect(/<title>([^<]*)<\/title>/.exec(stdout)?.[1]).toBe('2.5 7.0 2.5 3.5 2.5 7.0 2.5 5.0')
  })
})
