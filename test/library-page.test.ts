/** The examples of docs/library.md, as another program would run them: in a folder of its own with the package installed. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { renderClip } from './support/render.ts'
import { makeRun, SMALL_X3D, temporaryFolder } from './support/small-run.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

const page = await readFile(join(ROOT, 'docs/library.md'), 'utf8')
/** Each block of code, under its heading; a second one of a heading is numbered. */
const examples = page.split(/^## /m).flatMap((section) => {
  const [title] = section.split('\n', 1)
  return [...section.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code], i) => ({
    title: i === 0 ? title! : `${title} ${i + 1}`,
    code: code!,
  }))
})

/** What each example prints, line by line. */
const PRINTS: Readonly<Record<string, readonly RegExp[]>> = {
  'Classify a file under a budget': [/^class \d 0\.\d+ 1 4 32 0\.\d+$/],
  'Change the cost from call to call': [/^\d+ [0-4]$/, /^\d+ [0-4]$/],
  'Hold a time': [/^\d+ \d+\.\d\d ms$/],
  'Spans of a film': [/^\d+ \d+ 0\.\d+$/],
  'Watch a source': [/^class \d \d+(\.\d+)? (true|false) \d+$/],
  'Watch a source 2': [/^\d+(\.\d+)? class \d$/],
  'Stop, and mend what goes wrong': [/^cancelled .+/],
  'Train and test': [/^1 \{/, /^1 done \d+$/],
  'Frames and costs alone': [/^160 96 1 61056$/, /^\d{9,} \d+$/],
}

let folder: string
beforeAll(async () => {
  folder = await temporaryFolder()
  await makeRun(join(folder, 'runs', 'x3d'), SMALL_X3D)
  const clip = await renderClip(join(folder, 'video.mp4'))
  const list = [0, 1, 2, 3].map((label) => `${clip} ${label}\n`).join('')
  for (const split of ['train', 'val']) await writeFile(join(folder, `${split}.csv`), list)
  const sizes =
    'batch_size: 4\nnum_epochs: 1\nwarmup_epochs: 0\ncalibration_batches: 1\ntrain_short_side: [32, 40]\n'
  const lists = 'width_mult_list: [1]\nresolution_list: [32]\nframes_list: [4]\ndataset_dir: .\n'
  await writeFile(join(folder, 'config.yml'), `${SMALL_X3D}dataset: folder\n${sizes}${lists}`)
  await mkdir(join(folder, 'node_modules'))
  await symlink(ROOT, join(folder, 'node_modules', 'mn-video'), 'dir')
})

describe('an example of docs/library.md', () => {
  it('is checked by what it prints', () => {
    expect(examples.map(({ title }) => title)).toEqual(Object.keys(PRINTS))
  })

  it.each(examples)('runs: $title', async ({ title, code }) => {
    const file = join(folder, 'example.mjs')
    await writeFile(file, code)
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], { cwd: folder })
    expect(stderr).toBe('')
    const lines = stdout.trimEnd().split('\n')
    for (const line of PRINTS[title]!) expect(lines.some((printed) => line.test(printed))).toBe(true)
  })
})
