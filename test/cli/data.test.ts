/** `mn-video data …` from the outside, on a small data set that a user might have. `npm test` builds it first. */
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { mnVideo } from '../support/cli.ts'
import { renderClip } from '../support/render.ts'
import { temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()
const at = (...names: string[]) => join(folder, ...names)
/** Writes small pictures. */
async function encodePicture(...paths: string[]): Promise<void> {
  for (const path of paths)
    await sharp({ create: { width: 8, height: 8, channels: 3, background: '#08f' } }).toFile(path)
}
const run = (...args: string[]) =>
  mnVideo(['data', ...args], { cwd: folder, env: { MN_VIDEO_CACHE: at('cache') } })

beforeAll(async () => {
  for (const name of ['walk', 'jump high']) {
    await mkdir(at('videos', name), { recursive: true })
    for (const number of [1, 2, 3, 4]) {
      if (number === 1 && name === 'walk') await renderClip(at('videos/walk/ü 1.mp4'))
      else await copyFile(at('videos/walk/ü 1.mp4'), at('videos', name, `ü ${number}.mp4`))
    }
  }
})

describe('mn-video data', () => {
  it('takes a folder of class folders to lists, a check, a chart and a page', async () => {
    expect(await run('split', 'videos', '--val', '0.25', '--out', 'lists')).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringMatching(
        /train\.csv: 6 files of 2 classes\n.*val\.csv: 2 files of 2 classes\nTrain with dataset_dir: lists/,
      ),
    })
    expect(await readFile(at('lists/classes.txt'), 'utf8')).toBe('jump high\nwalk\n')

    const check = await run('check', 'lists/train.csv')
    expect(check).toMatchObject({ code: 0, stderr: '' })
    expect(check.stdout).toMatch(
      /train\.csv: 6 files, [\d.]+ files a second\nfingerprint {2}6 files, 2 classes, sha256 \w{16}…\ndurations .*\nsizes +160x96 × 6\ncodecs +h264 × 6\nEvery file can be used\.\n$/,
    )
    expect((await run('check', 'lists/train.csv')).stdout).toContain('6 files (6 known from before)\n')

    const stats = await run('stats', 'lists/train.csv')
    expect(stats.stdout).toMatch(
      /codecs +h264 × 6\nfiles per class: fewest 3, median 3, most 3 \(1\.0×\)\njump high {2}3 {2}█+\nwalk {7}3 {2}█+\n$/,
    )

    const preview = await run(
      'preview',
      'lists/train.csv',
      '--out',
      'page.html',
      '--samples',
      '2',
      '--set',
      'image_size=64',
      '--set',
      'frames=4',
    )
    expect(preview).toMatchObject({ code: 0, stdout: 'page.html: 2 samples. Open it in a browser.\n' })
    const page = await readFile(at('page.html'), 'utf8')
    expect(page.match(/<img alt="(walk|jump high)" src="data:image\/jpeg;base64,/g)).toHaveLength(2)
    expect(page).toContain('4 frames of 64×64, half of them mirrored')
  })

  it('never writes a list over the one that it reads', async () => {
    const list = await readFile(at('lists/train.csv'), 'utf8')
    for (const args of [
      ['resize', 'lists/train.csv', '--out', 'lists'],
      ['split', 'lists/train.csv', '--out', 'lists'],
      ['check', 'lists/train.csv', '--write-clean', 'lists/../lists/train.csv'],
      ['preview', 'lists/train.csv', '--out', 'lists/train.csv', '--set', 'image_size=64'],
    ]) {
      const { code, stderr } = await run(...args)
      expect(stderr).toMatch(
        /train\.csv: is the source itself, which would be written over\. Give another place\./,
      )
      expect(code).toBe(2)
    }
    expect(await readFile(at('lists/train.csv'), 'utf8')).toBe(list)
  })

  it('names what is wrong by reason, ends with 1, and writes a list without it', async () => {
    await writeFile(at('videos/text.mp4'), 'no video')
    await writeFile(
      at('list.csv'),
      '"videos/walk/ü 1.mp4" 1\nvideos/gone.mp4 0\nvideos/text.mp4 0\n"videos/walk/ü 1.mp4" 0\n"videos/jump high/ü 2.mp4" 0\n',
    )
    const { code, stdout } = await run('check', 'list.csv', '--write-clean', 'clean.csv')
    expect(code).toBe(1)
    expect(stdout).toContain(
      [
        'missing: 1\n  videos/gone.mp4: no such file',
        'broken: 1\n  videos/text.mp4: FFmpeg finds no video in it (moov atom not found)',
        'repeated: 1\n  videos/walk/ü 1.mp4: listed twice, with labels 1 and 0',
        '3 cannot be used, 2 can.\nclean.csv: 2 files\n',
      ].join('\n'),
    )
    expect(await readFile(at('clean.csv'), 'utf8')).toBe(
      '"videos/walk/ü 1.mp4" 1\n"videos/jump high/ü 2.mp4" 0\n',
    )
    const json = JSON.parse((await run('check', 'list.csv', '--json')).stdout)
    expect(json).toMatchObject({ clean: 2, fingerprint: { files: 5, codecs: { h264: 2 } } })
    expect(json.files).toHaveLength(3)
  })

  it('takes class names along to a clean list elsewhere, and writes over no others', async () => {
    await mkdir(at('clean'))
    expect((await run('check', 'lists/val.csv', '--write-clean', 'clean/val.csv')).code).toBe(0)
    expect(await readFile(at('clean/classes.txt'), 'utf8')).toBe('jump high\nwalk\n')
    await writeFile(at('clean/classes.txt'), 'walk\njump high\n')
    expect(await run('check', 'lists/val.csv', '--write-clean', 'clean/val.csv')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('clean/classes.txt: has other classes than the list'),
    })
  })

  it('takes a folder of videos with some pictures for one of videos, and says what it passed over', async () => {
    for (const name of ['walk', 'jump high']) {
      await mkdir(at('mixed', name), { recursive: true })
      await encodePicture(at('mixed', name, '0.jpg'))
      for (const number of [1, 2]) {
        await copyFile(at('videos/walk/ü 1.mp4'), at('mixed', name, `${number}.mp4`))
      }
    }
    const other = 'passed over: 2 .jpg (pictures, such as '
    const split = await run('split', 'mixed', '--val', '0.5', '--out', 'mixed-lists')
    expect(split.stdout).toMatch(/train\.csv: 2 files of 2 classes\n.*val\.csv: 2 files/)
    const check = await run('check', 'mixed')
    expect(check.stdout).toContain('mixed: 4 files')
    const stats = await run('stats', 'mixed')
    // Not even a folder of pictures alone stops a resize.
    await mkdir(at('mixed/thumbnails.d'))
    await encodePicture(at('mixed/thumbnails.d/0.jpg'))
    const resize = await run('resize', 'mixed', '--out', 'mixed-small', '--short-side', '48')
    expect(resize.stdout).toContain('passed over: 3 .jpg')
    await rm(at('mixed/thumbnails.d'), { recursive: true })
    expect(resize).toMatchObject({ code: 0, stdout: expect.stringContaining('4 of 4 videos') })
    await rename(at('mixed'), at('mixed.v2'))
    const named = await run('resize', 'mixed.v2', '--out', 'mixed-small-v2', '--short-side', '48')
    expect(named.stdout).toContain('mixed-small-v2/all.csv')
    await rename(at('mixed.v2'), at('mixed'))
    for (const { code, stdout } of [split, check, stats])
      expect([code, stdout]).toEqual([0, expect.stringContaining(other)])
    await writeFile(at('mixed/list.csv'), '"walk/0.jpg" 1\nwalk/1.mp4 1\nwalk/2.mp4 1\n')
    const listed = await run('resize', 'mixed/list.csv', '--out', 'mixed-small-2', '--short-side', '48')
    expect(listed.stdout).toMatch(/2 of 2 videos[\s\S]*passed over: 1 \.jpg/)
    await encodePicture(at('mixed/walk/3.jpg'), at('mixed/walk/4.jpg'), at('mixed/walk/5.jpg'))
    expect(await run('split', 'mixed', '--out', 'x')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is a mixture of 4 videos and 5 pictures'),
    })
    expect((await run('stats', 'mixed', '--media', 'video')).stdout).toContain('mixed: 4 files')
  })

  it('resizes a list into a folder with its own list, and reports size and speed', async () => {
    const { code, stdout } = await run(
      'resize',
      'lists/val.csv',
      '--out',
      'small',
      '--short-side',
      '48',
      '--root',
      'lists',
    )
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^small: 2 of 2 videos, 60 frames, none lost\nsize .* → .* MiB \(\d+ %\)\nspeed {2}a clip of 16 frames, stride 5: \d+ → \d+ ms/,
    )
    expect(await readFile(at('small/val.csv'), 'utf8')).toMatch(
      /^".*jump high\/ü \d\.mp4" 0\n".*walk\/ü \d\.mp4" 1\n$/,
    )
    expect((await run('check', 'small/val.csv')).stdout).toContain('80x48 × 2')
  })

  it('prepares a data set, and says where to get one and what must lie where', async () => {
    expect((await run('prepare')).stdout).toMatch(/HMDB51 +hmdb51 +https:/)
    expect((await run('prepare', 'hmdb51')).stdout).toMatch(
      /Get it from its owner: https:[\s\S]*brush_hair_test_split1\.txt[\s\S]*Then: mn-video data prepare hmdb51 FOLDER --out lists\/hmdb51/,
    )
    await writeFile(at('Diving48_vocab.json'), '[["a"],["b"]]')
    await writeFile(at('Diving48_V2_train.json'), '[{"vid_name":"ü 1","label":1}]')
    await writeFile(at('Diving48_V2_test.json'), '[{"vid_name":"gone","label":1}]')
    const { code, stdout } = await run(
      'prepare',
      'diving48',
      'videos/walk',
      '--annotations',
      '.',
      '--out',
      'dives',
    )
    expect(code).toBe(0)
    expect(stdout).toMatch(/^Diving48: 2 classes\ndives\/train\.csv\n {2}fingerprint {2}1 files, 1 classes/)
    expect(stdout).toContain('missing: 1\n  gone: annotated, but there is no such file\n')
    expect(stdout).toContain('All of it: dives/findings.txt\nNext: mn-video data check dives/train.csv\n')
  })

  it.each([
    [
      ['prepare', 'ucf'],
      2,
      'ucf: is no data set that can be prepared. The nearest known data set is "ucf101".',
    ],
    [['prepare', 'ucf101', 'videos'], 2, '--out is missing.'],
    [['check', 'nowhere.csv'], 1, 'nowhere.csv: no such file. Give a list or a folder.'],
    [['split', 'videos', '--val', '2', '--out', 'x'], 2, 'Give a share above 0 and below 1'],
    [
      ['preview', 'list.csv', '--config', 'mobilenet_v2', '--out', 'x.html'],
      2,
      'has videos, but MobileNet v2 takes images',
    ],
  ])('says what is wrong with %j and how to go on', async (args, code, message) => {
    expect(await run(...args)).toMatchObject({ code, stderr: expect.stringContaining(message) })
  })

  it('has an example in the help of every command', async () => {
    const names = ['prepare', 'check', 'resize', 'split', 'stats', 'preview']
    const helps = await Promise.all(names.map((name) => run(name, '--help')))
    for (const { stdout } of helps) expect(stdout).toMatch(/Examples?:\n {2}mn-video data/)
  })
})
