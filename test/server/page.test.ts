/** The page in a real browser, of the built server, with a camera that shows a rendered film. */
import { type ChildProcess, spawn } from 'node:child_process'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AxeBuilder } from '@axe-core/playwright'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasBrowser, launchBrowser } from '../support/browser.ts'
import { MAIN } from '../support/cli.ts'
import { ffmpeg } from '../support/render.ts'
import { makeRun, SMALL_MOBILENET, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'
import { makeTaughtRun } from '../support/taught-run.ts'

let folder: string
let url: string
let browser: Browser
let child: ChildProcess

const start = async (runs: readonly string[], ...args: string[]) => {
  const server = spawn(process.execPath, [MAIN, 'serve', ...runs, '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const at = await new Promise<string>((settle, fail) => {
    server.stdout.on('data', (piece) => {
      const found = /serving on (\S+)/.exec(String(piece))?.[1]
      if (found) settle(found)
    })
    server.once('close', () => fail(new Error('it did not start')))
  })
  return { server, at }
}

describe.skipIf(!hasBrowser)('the page', () => {
  beforeAll(async () => {
    folder = await temporaryFolder()
    const runs = [join(folder, 'video'), join(folder, 'image')]
    await makeRun(runs[1]!, SMALL_MOBILENET)
    const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=30:duration=4']
    await ffmpeg(...picture, '-c:v', 'libvpx', '-b:v', '500k', join(folder, 'film.webm'))
    const other = ['-f', 'lavfi', '-i', 'mandelbrot=size=320x240:rate=30:start_scale=0.5', '-t', '4']
    await ffmpeg(...other, '-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p', '-q:v', '4', join(folder, 'camera.mjpeg'))
    await ffmpeg(...other, '-c:v', 'libx264', join(folder, 'other.mp4'))
    await makeTaughtRun(runs[0]!, SMALL_X3D, [join(folder, 'film.webm'), join(folder, 'other.mp4')])
    await ffmpeg(...picture, '-frames:v', '1', join(folder, 'picture.png'))
    const { server, at } = await start(runs)
    child = server
    url = at
    browser = await launchBrowser(join(folder, 'camera.mjpeg'))
  })
  afterAll(async () => {
    await browser?.close()
    child?.kill('SIGKILL')
  })

  /** A page that notes what it asks for, and what goes wrong in it. */
  async function open(at = url, options: Parameters<Browser['newContext']>[0] = {}) {
    const context = await browser.newContext({ permissions: ['camera'], ...options })
    const page = await context.newPage()
    const asked: string[] = []
    const wrong: string[] = []
    page.on('request', (request) => void asked.push(request.url()))
    page.on('pageerror', (error) => void wrong.push(error.message))
    page.on('console', (message) => void (message.type() === 'error' && wrong.push(message.text())))
    await page.goto(at)
    return { page, asked, wrong, close: () => context.close() }
  }
  const textOf = (page: Page, id: string) => page.locator(id).innerText()
  const topOf = (page: Page) => page.locator('#top li .name').first().innerText()
  const until = async (holds: () => Promise<boolean>) => {
    for (let i = 0; i < 300; i++) {
      if (await holds()) return
      await new Promise((go) => setTimeout(go, 50))
    }
    throw new Error('it did not come to be')
  }

  it('is small, and asks no other host for anything', async () => {
    const built = fileURLToPath(new URL('../../dist/server/page', import.meta.url))
    const sizes = await Promise.all(
      ['index.html', 'page.js', 'page.css'].map(async (name) => (await stat(join(built, name))).size),
    )
    expect(sizes.reduce((a, b) => a + b)).toBeLessThan(200_000)
    const { page, asked, wrong, close } = await open()
    await page.locator('#budget').waitFor()
    expect(asked.filter((each) => !each.startsWith(url) && !each.startsWith('data:'))).toEqual([])
    expect(wrong).toEqual([])
    await close()
  })

  it('answers about the camera; the slider changes the configuration while it goes on', async () => {
    const { page, wrong, close } = await open()
    await page.locator('#camera').click()
    await until(async () => (await textOf(page, '#configuration')).includes('×'))
    expect(await page.locator('#top li[data-index]').count()).toBe(5)
    // What the camera shows, and not the film that the network knows as well.
    await until(async () => (await topOf(page)) === 'class 1')
    const before = await textOf(page, '#configuration')
    const [worth, spoken] = [
      await textOf(page, '#budget-text'),
      await page.locator('#budget').getAttribute('aria-valuetext'),
    ]
    expect(spoken).toBe(worth)
    // By keys, as who uses no mouse does.
    await page.locator('#budget').focus()
    await page.keyboard.press('Home')
    await until(async () => (await textOf(page, '#configuration')) !== before)
    expect(await textOf(page, '#budget-text')).not.toBe(worth)
    await until(async () => Number(await textOf(page, '#fps')) > 5)
    await page.locator('#deadline-on').check()
    await until(async () => (await textOf(page, '#hits')).includes('%'))
    expect(await page.locator('#budget').isDisabled()).toBe(true)
    // A point of the curve chooses as well.
    const last = page.locator('#curve .point').last()
    await last.focus()
    await page.keyboard.press('Enter')
    await until(async () => (await textOf(page, '#configuration')) === before)
    await until(async () => !(await page.locator('#deadline-on').isChecked()))
    expect(wrong).toEqual([])
    await close()
  })

  it('plays a film and finds its spans', async () => {
    const { page, wrong, close } = await open()
    await page.locator('#file').setInputFiles(join(folder, 'film.webm'))
    await until(async () => (await textOf(page, '#configuration')).includes('×'))
    await until(async () => (await topOf(page)) === 'class 0')
    await page.locator('#find-spans').click()
    await until(async () => (await page.locator('#find-spans').count()) === 1)
    expect(await page.locator('#error').innerText()).toBe('')
    expect(await page.locator('#spans tbody').innerText()).toMatch(/^0:00\.0\s+0:04\.0\s+class 0/)
    expect(wrong).toEqual([])
    await close()
  })

  it('says what cannot be read, and classifies a picture with a model of pictures', async () => {
    const { page, close } = await open()
    await page.locator('#model').selectOption('image')
    await page.locator('#file').setInputFiles(join(folder, 'film.webm'))
    await until(async () => (await textOf(page, '#error')).includes('film.webm'))
    await page.locator('#file').setInputFiles(join(folder, 'picture.png'))
    await until(async () => (await page.locator('#top li[data-index]').count()) === 5)
    expect(await textOf(page, '#error')).toBe('')
    await close()
  })

  it('asks for a token where one is needed', async () => {
    const tokens = join(folder, 'tokens')
    await writeFile(tokens, '0123456789abcdef\n')
    const { server, at } = await start([join(folder, 'video')], '--token-file', tokens)
    const { page, close } = await open(at)
    await page.locator('#token').fill('0123456789abcdef')
    await page.keyboard.press('Enter')
    await page.locator('#camera').click()
    await until(async () => (await textOf(page, '#configuration')).includes('×'))
    await close()
    server.kill('SIGKILL')
  })

  it.each(['light', 'dark'] as const)('has nothing serious against it by axe, %s', async (colorScheme) => {
    for (const viewport of [
      { width: 360, height: 740 },
      { width: 1400, height: 900 },
    ]) {
      const { page, close } = await open(url, { colorScheme, viewport })
      await page.locator('#camera').click()
      await until(async () => (await textOf(page, '#configuration')).includes('×'))
      const { violations } = await new AxeBuilder({ page }).analyze()
      const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
      expect(serious.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([])
      const [inner, outer] = (await page.evaluate('[document.documentElement.scrollWidth, innerWidth]')) as [
        number,
        number,
      ]
      expect(inner).toBeLessThanOrEqual(outer)
      await close()
    }
  })
})
