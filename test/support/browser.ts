/** Chromium, where there is one: tests of pages are skipped, and counted, without. */
import { execFileSync } from 'node:child_process'
import { type Browser, chromium } from 'playwright-core'

/** Where it is. */
export const browserPath = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'].flatMap((name) => {
  try {
    return [execFileSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).trim()]
  } catch {
    return []
  }
})[0]

export const hasBrowser = browserPath !== undefined

/** @param camera a film (MJPEG or Y4M) that its camera shows, again and again */
export function launchBrowser(camera?: string): Promise<Browser> {
  return chromium.launch({
    executablePath: browserPath!,
    args: [
      '--no-sandbox',
      '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream',
      ...(camera === undefined ? [] : [`--use-file-for-fake-video-capture=${camera}`]),
    ],
  })
}
