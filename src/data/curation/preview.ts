/**
 * A page that shows samples as a network gets them in training: after sampling in time, scaling, cropping and
 * mirroring, with their labels. What comes out wrong here would be learned wrong.
 */
import type { FrameBatch } from '../../frames/batch.ts'
import { encodeJpeg } from '../../image/encode.ts'

export interface PreviewSample {
  readonly name: string
  readonly label: string
  /** One clip. */
  readonly clip: FrameBatch
}

export interface PreviewPage {
  readonly title: string
  /** What was done to the pixels, in a sentence. */
  readonly about: string
  readonly samples: readonly PreviewSample[]
  /** Files that could not be read, and why. */
  readonly bad: ReadonlyMap<string, string>
}

/** Frames of a clip that fit side by side. */
const FRAMES_SHOWN = 8

/** The page, with its pictures inside. */
export async function previewPage(page: PreviewPage): Promise<string> {
  const rows: string[] = []
  for (const { name, label, clip } of page.samples) {
    const { strip, width } = sideBySide(clip)
    const picture = (await encodeJpeg(strip, width, clip.height)).toString('base64')
    rows.push(
      `<figure><figcaption><b>${escaped(label)}</b> ${escaped(name)}</figcaption><img alt="${escaped(label)}" src="data:image/jpeg;base64,${picture}"></figure>`,
    )
  }
  const bad = [...page.bad].map(([name, reason]) => `<li>${escaped(name)}: ${escaped(reason)}</li>`)
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(page.title)}</title>
<style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.5rem; color: #222; background: #fff }
figure { margin: 0 0 1rem } figcaption { overflow-wrap: anywhere } img { max-width: 100%; height: auto; display: block }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } }
</style></head><body>
<h1>${escaped(page.title)}</h1>
<p>${escaped(page.about)}</p>
${rows.join('\n')}
${bad.length > 0 ? `<h2>Not readable</h2>\n<ul>${bad.join('\n')}</ul>` : ''}
</body></html>
`
}

/** Frames spread over a clip, as one picture [H, n·W, 3]. */
function sideBySide({ data, frames, height, width }: FrameBatch): { strip: Uint8Array; width: number } {
  const count = Math.min(frames, FRAMES_SHOWN)
  const strip = new Uint8Array(count * height * width * 3)
  for (let i = 0; i < count; i++) {
    const frame = count === 1 ? 0 : Math.round((i * (frames - 1)) / (count - 1))
    for (let row = 0; row < height; row++) {
      const from = (frame * height + row) * width * 3
      for (let at = 0; at < width * 3; at++) strip[(row * count + i) * width * 3 + at] = data[from + at]!
    }
  }
  return { strip, width: count * width }
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`)
