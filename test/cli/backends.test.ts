/** TensorFlow's packages as the commands meet them, working and broken. */
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { mnVideo } from '../support/cli.ts'
import { makeRun, SMALL_MOBILENET, temporaryFolder } from '../support/small-run.ts'
import { ABORTS, folderWith, standIn, UNLOADABLE } from '../support/tfjs-packages.ts'

const cwd = await temporaryFolder()
const evaluate = ['eval', '--image', 'picture.jpg', '--model', 'run', '--engine', 'tfjs']

beforeAll(async () => {
  await makeRun(join(cwd, 'run'), SMALL_MOBILENET)
  await sharp({ create: { width: 40, height: 50, channels: 3, background: '#123456' } })
    .jpeg()
    .toFile(join(cwd, 'picture.jpg'))
})

describe('a broken TensorFlow', () => {
  it('is one line of mn-video doctor, which goes on', async () => {
    const env = { MN_VIDEO_TFJS_NODE: await folderWith({ gpu: ABORTS, cpu: UNLOADABLE }) }
    const { code, stdout } = await mnVideo(['doctor'], { env })
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^tfjs: tensorflow +absent +@tensorflow\/tfjs-node-gpu does not load: .*; @tensorflow\/tfjs-node does not load: .*docs\/tensorflow\.md.*\ntfjs: wasm +ok/m,
    )
  })

  it('is passed over by mn-video eval, which says so', async () => {
    const env = { MN_VIDEO_TFJS_NODE: await folderWith({ cpu: ABORTS }) }
    const { code, stdout } = await mnVideo(evaluate, { cwd, env })
    expect(code).toBe(0)
    expect(stdout).toMatch(/^engine {2}tfjs \S+, wasm backend .*\n {8}not tensorflow: .* does not load: /m)
  })

  it('fails where it is asked for', async () => {
    const env = { MN_VIDEO_TFJS_NODE: await folderWith({ cpu: ABORTS }) }
    const { code, stderr } = await mnVideo([...evaluate, '--backend', 'tensorflow'], { cwd, env })
    expect(code).toBe(1)
    expect(stderr).toMatch(/no tfjs backend can be used here\.\ntensorflow: .*does not load/)
  })
})

describe('mn-video eval', () => {
  it('computes on the package for GPUs first, and says on which device', async () => {
    const env = { MN_VIDEO_TFJS_NODE: await folderWith({ gpu: standIn(false), cpu: ABORTS }) }
    const { code, stdout } = await mnVideo(evaluate, { cwd, env })
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^engine .*tensorflow backend \(@tensorflow\/tfjs-node-gpu, .*, CPU: it finds no GPU\)\nchosen/m,
    )
  })
})
