/** The program from the outside: what it prints, and how it ends. `npm test` builds it first. */
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { findBinaries } from '../../src/video/binaries.ts'
import { installAdvice, thisSystem } from '../../src/video/install-advice.ts'
import { mnVideo } from '../support/cli.ts'
import { renderClip } from '../support/render.ts'
import { SMALL_MOBILENET, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()
const at = (...names: string[]) => join(folder, ...names)

beforeAll(async () => {
  await writeFile(at('small.yml'), SMALL_X3D)
  await writeFile(at('mobile.yml'), SMALL_MOBILENET)
  await renderClip(at("it's a clip, ünïcode.mp4"))
  await renderClip(at('-dash.mp4'))
  await sharp({ create: { width: 40, height: 50, channels: 3, background: '#123456' } })
    .jpeg()
    .toFile(at('picture.jpg'))
  const made = await mnVideo(['init', 'small.yml', '--out', 'runs/small'], { cwd: folder })
  expect(made).toMatchObject({ code: 0, stderr: '' })
})

describe('mn-video eval', () => {
  it('classifies a clip with the newest run, naming configuration, cost, views, times and that it is untrained', async () => {
    const { code, stdout, stderr } = await mnVideo(
      ['eval', '--clip', "it's a clip, ünïcode.mp4", '--mflops', '5'],
      { cwd: folder },
    )
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^model {3}runs\/small: X3D, 5 classes — UNTRAINED/)
    expect(stdout).toMatch(/chosen {2}width [\d.]+, frames \d, size \d+: [\d.]+ MFLOPs per clip/)
    expect(stdout).toMatch(
      /it's a clip, ünïcode\.mp4\n1 view, [\d.]+ MFLOPs per video, decode [\d.]+ s, compute [\d.]+ s/,
    )
    expect(stdout.trim().split('\n').at(-1)).toMatch(/^\s*5\s+[\d.]+ % {2}class \d$/)
  })

  it('writes JSON that a script can read, and a name that starts with a dash', async () => {
    const { code, stdout } = await mnVideo(
      [
        'eval',
        '--clip=-dash.mp4',
        '--width',
        '0.7',
        '--frames',
        '2',
        '--size',
        '32',
        '--views',
        '2x3',
        '--topk',
        '2',
        '--json',
      ],
      { cwd: folder },
    )
    expect(code).toBe(0)
    const [result] = JSON.parse(stdout)
    expect(result).toMatchObject({
      file: '-dash.mp4',
      trained: false,
      configuration: { width: 0.7, frames: 2, size: 32 },
      views: 6,
    })
    expect(result.gflops_per_video).toBeCloseTo(6 * result.configuration.gflops_per_clip, 9)
    expect(result.top).toHaveLength(2)
  })

  it('answers for the files that can be read, and fails for the others by name', async () => {
    await writeFile(at('broken.mp4'), 'not a video')
    const { code, stdout, stderr } = await mnVideo(
      ['eval', '--clip', 'broken.mp4', 'missing.mp4', '-dash.mp4'.replace('-', './-')],
      { cwd: folder },
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/broken\.mp4: /)
    expect(stderr).toMatch(/missing\.mp4: /)
    expect(stdout).toMatch(/-dash\.mp4\n1 view/)
    expect(stderr).not.toMatch(/ at .*:\d+:\d+/)
  })

  it('writes failures as JSON where JSON was asked for', async () => {
    const bad = await mnVideo(['eval', '--clip', 'missing.mp4', '--json'], { cwd: folder })
    expect(JSON.parse(bad.stdout)).toEqual([
      { file: 'missing.mp4', error: 'missing.mp4: no such file.', code: 'media' },
    ])
    const worse = await mnVideo(['eval', '--clip', 'a.mp4', '--model', 'nowhere', '--json'], { cwd: folder })
    expect(JSON.parse(worse.stdout)).toMatchObject({ code: 'run' })
    expect([bad.code, worse.code]).toEqual([1, 1])
  })

  it('names the cheapest configuration when the budget is below it', async () => {
    const { code, stderr } = await mnVideo(['eval', '--clip=-dash.mp4', '--gflops', '0.0001'], {
      cwd: folder,
    })
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^mn-video: nothing fits gflops 0\.0001: the cheapest configuration of X3D costs .*\nGive at least gflops/,
    )
  })

  it('classifies an image with an image run', async () => {
    await mnVideo(['init', 'mobile.yml', '--out', 'mobile'], { cwd: folder })
    const { code, stdout } = await mnVideo(
      ['eval', '--image', 'picture.jpg', '--model', 'mobile', '--mflops', '10'],
      { cwd: folder },
    )
    expect(code).toBe(0)
    expect(stdout).toMatch(/MobileNet v1.*[\s\S]*MFLOPs per image[\s\S]*picture\.jpg\ndecode/)
  })

  it.each([
    [['eval'], 'nothing to classify. Give --clip FILE… or --image FILE….'],
    [['eval', '--clip', 'a.mp4', '--gflops', '-1'], 'Give a number above 0.'],
    [['eval', '--clip', 'a.mp4', '--gflops', '1', '--width', '1'], 'give one of --gflops, --mflops'],
    [['eval', '--clip', 'a.mp4', '--views', '10x2'], '10x2'],
    [['eval', '--image', 'picture.jpg'], 'classifies videos. Give --clip'],
    [['eval', '--clip', 'a.mp4', '--engine', 'abacus'], 'there is no engine "abacus"'],
    [['eval', '--clip', 'a.mp4', '--precision', 'fp16'], 'Allowed choices are float32, bf16.'],
    [['eval', '--clip', 'a.mp4', '--engine', 'tfjs', '--precision', 'bf16'], 'in float32 alone'],
    [['eval', '--image', 'picture.jpg', '--model', 'mobile', '--views', '2x1'], '--views is for videos'],
    [['profile', 'x3d', '--width', '5'], 'width 5 is not possible'],
    [['profile', 'x3d', '--grid', '--layers'], 'give --grid or --layers'],
    [['evla'], "unknown command 'evla'"],
    [['profile', 'x3d', '--widht', '1'], "unknown option '--widht'"],
  ])('says what is wrong with %j and exits with 2', async (args, message) => {
    const { code, stderr } = await mnVideo(args, { cwd: folder })
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) })
  })
})

describe('mn-video init', () => {
  it('leaves a folder with files alone', async () => {
    const { code, stderr } = await mnVideo(['init', 'small.yml', '--out', 'runs/small'], { cwd: folder })
    expect(code).toBe(1)
    expect(stderr).toBe(
      'mn-video: runs/small: already has files. Give --out a folder that is new or empty.\n',
    )
  })

  it('names file, line, key and the nearest known key of a wrong configuration', async () => {
    await writeFile(at('wrong.yml'), 'model: x3d\nframs: 16\n')
    const { code, stderr } = await mnVideo(['init', 'wrong.yml', '--out', 'never'], { cwd: folder })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^mn-video: wrong\.yml:2: unknown key "frams"\. Did you mean "frames"\?/)
  })

  it('says why a folder cannot be made', async () => {
    await writeFile(at('file'), '')
    const { code, stderr } = await mnVideo(['init', 'small.yml', '--out', 'file/run'], { cwd: folder })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^mn-video: file\/run: cannot be/)
  })
})

describe('mn-video profile', () => {
  it('prints input, totals and the convention they are counted by', async () => {
    const { stdout } = await mnVideo(['profile', 'x3d'])
    expect(stdout).toContain('clip 16×224×224×3')
    expect(stdout).toContain('parameters  3,794,274')
    expect(stdout).toContain('MACs        4,732,468,736   (4.73 GFLOPs per clip)')
    expect(stdout).toContain('multiply-adds of convolutions and linear layers')
  })

  it('prints every layer', async () => {
    const { stdout } = await mnVideo([
      'profile',
      'app:configs/slow.yml',
      '--layers',
      '--width',
      '0.63',
      '--frames',
      '5',
      '--size',
      '184',
    ])
    expect(stdout).toMatch(/blocks\.0\.conv +conv +1×7×7 +1×2×2 +3 +40 +5×92×92×40 +5,880 /)
  })

  it('gives the same as JSON, for one configuration and for the grid', async () => {
    const one = JSON.parse((await mnVideo(['profile', 'mobilenet_v1', '--json'])).stdout)
    expect(one).toMatchObject({ network: 'MobileNet v1', macs: 568_740_352, params: 4_231_976 })
    expect(one.layers).toBeUndefined()
    const grid = JSON.parse((await mnVideo(['profile', 'x3d', '--grid', '--json', '--frames', '16'])).stdout)
    expect(grid.configurations).toHaveLength(20)
    expect(grid.configurations[0]).toMatchObject({ width: 1, frames: 16, size: 224, macs: 4_732_468_736 })
  })

  it.each(['x3d', 'slow', 'slowfast', 'mobilenet_v1', 'mobilenet_v2', 'resnet50', 'wideresnet'])(
    'knows the recipe %s',
    async (name) => {
      expect(await mnVideo(['profile', `configs/${name}.yml`])).toMatchObject({ code: 0, stderr: '' })
    },
  )

  it('finds a recipe behind a folder of its name', async () => {
    await mkdir(at('x3d'))
    expect(await mnVideo(['profile', 'x3d'], { cwd: folder })).toMatchObject({ code: 0, stderr: '' })
  })

  it('changes keys of the configuration for one command', async () => {
    const { stdout } = await mnVideo([
      'profile',
      'x3d',
      '--set',
      'variant=s',
      '--set',
      'num_classes=10',
      '--json',
    ])
    expect(JSON.parse(stdout)).toMatchObject({
      network: 'X3D-S',
      configuration: { frames: 13, size: 160 },
      params: 2_995_164,
    })
  })

  it('refuses a frame count of zero', async () => {
    const { code, stderr } = await mnVideo(['profile', 'x3d', '--frames', '0'])
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining('Give a whole number from 1.'),
    })
  })
})

describe('mn-video doctor', () => {
  it('shows FFmpeg, the backends with the reason each absent one is, and the default engine', async () => {
    const { code, stdout } = await mnVideo(['doctor'])
    expect(code).toBe(0)
    expect(stdout).toContain(`${process.version}, ${process.platform} ${process.arch}`)
    expect(stdout).toMatch(/FFmpeg +ok +\d/)
    expect(stdout).toMatch(/tfjs: wasm +ok/)
    expect(stdout).toMatch(/default engine +ok/)
    expect(stdout).toMatch(/native +absent|native bf16 +(ok|absent) +.*avx512_bf16/)
  })

  it('says that FFmpeg is missing and how it is installed here, and so does eval', async () => {
    const empty = at('no-programs')
    await mkdir(empty)
    const env = { PATH: empty, MN_VIDEO_FFMPEG: '' }
    const doctor = await mnVideo(['doctor'], { env })
    // A machine where ffmpeg-static's download worked has one even so.
    if (doctor.stdout.includes('ffmpeg-static')) return
    const lines = [
      'FFmpeg is not installed: no ffmpeg on PATH.',
      `Install it (${installAdvice(thisSystem())}) or set MN_VIDEO_FFMPEG to its path.`,
    ]
    expect(doctor.code).toBe(1)
    expect(doctor.stdout).toMatch(/^FFmpeg +missing /m)
    expect(doctor.stdout).toContain(lines.join(' '))
    const clip = ['--clip', "it's a clip, ünïcode.mp4", '--mflops', '5']
    expect(await mnVideo(['eval', ...clip], { cwd: folder, env })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(lines.join('\n')),
    })
  })

  it('says that ffprobe is absent and how to have it', async () => {
    const alone = at('ffmpeg-alone')
    await mkdir(alone)
    await symlink((await findBinaries()).ffmpeg, join(alone, 'ffmpeg'))
    const env = { PATH: alone, MN_VIDEO_FFMPEG: join(alone, 'ffmpeg'), MN_VIDEO_FFPROBE: '' }
    const { code, stdout } = await mnVideo(['doctor'], { env })
    expect(code).toBe(0)
    expect(stdout).toMatch(/^ffprobe +absent /m)
    expect(stdout).toContain(`install FFmpeg (${installAdvice(thisSystem())}) to have it`)
  })
})

describe('mn-video', () => {
  it('has an example in the help of every command', async () => {
    const { stdout } = await mnVideo(['--help'])
    const commands = [...stdout.matchAll(/^ {2}(\w+) .*(?:\[options\]|<)/gm)].map(([, name]) => name!)
    expect(commands).toEqual(expect.arrayContaining(['eval', 'init', 'profile', 'doctor']))
    for (const command of commands.filter((name) => name !== 'help')) {
      expect((await mnVideo([command, '--help'])).stdout).toMatch(/Examples?:\n {2}mn-video/)
    }
  })

  it('shows a stack only with --debug', async () => {
    const plain = await mnVideo(['profile', 'nothing.yml'])
    expect(plain.stderr).toMatch(/^mn-video: nothing\.yml: no such file\./)
    const debug = await mnVideo(['--debug', 'profile', 'nothing.yml'])
    expect(debug.stderr).toMatch(/\n {4}at /)
  })
})
