/** What commands say of an engine that they cannot use: on a machine where the native add-on does not load. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { mnVideo } from '../support/cli.ts'
import { SMALL_WIDERESNET, writeSmallCifar } from '../support/small-cifar.ts'
import { temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()
const at = (...names: string[]) => join(folder, ...names)
const timeout = 240_000

const SAID = /not native \(many times faster\): /

/** Runs a command in a process that refuses every add-on of this program. */
const run = (...args: string[]) =>
  mnVideo(args, {
    cwd: folder,
    env: { NODE_OPTIONS: `--import ${pathToFileURL(at('no-addon.mjs'))}` },
  })

beforeAll(async () => {
  await writeFile(
    at('no-addon.mjs'),
    `const load = process.dlopen
process.dlopen = (module, file, ...rest) => {
  if (file.endsWith('mn_video.node')) throw new Error('invalid ELF header')
  return load.call(process, module, file, ...rest)
}
`,
  )
  await writeSmallCifar(at('cifar'), 20)
  await writeFile(at('small.yml'), SMALL_WIDERESNET)
  await sharp({ create: { width: 40, height: 40, channels: 3, background: '#a52' } })
    .jpeg()
    .toFile(at('picture.jpg'))
  await run('init', 'small.yml', '--out', 'run')
})

describe('without the native engine', () => {
  it('every command that runs a network says so, and that it costs time', { timeout }, async () => {
    for (const args of [
      ['train', 'small.yml', '--dry-run'],
      ['train', 'small.yml', '--out', 'trained'],
      ['test', 'run'],
      ['eval', '--image', 'picture.jpg', '--model', 'run'],
      ['calibrate-latency', 'run'],
      ['export', 'run', '--onnx', 'run.onnx'],
    ]) {
      const { code, stdout, stderr } = await run(...args)
      expect({ args, code, stderr }).toMatchObject({ code: 0 })
      expect(stdout, args.join(' ')).toMatch(SAID)
    }
  })
})
