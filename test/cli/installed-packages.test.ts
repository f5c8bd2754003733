/** The packages that `npm run package` makes, installed in an empty folder as a user installs them. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { nativeUnavailable } from '../../src/engines/native/engine.ts'
import { PLATFORMS, packageOf, thisPlatform } from '../../src/engines/native/platforms.ts'
import { temporaryFolder } from '../support/small-run.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const unavailable = nativeUnavailable()
const name = packageOf(thisPlatform())
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }

describe.skipIf(unavailable)(`packages${unavailable ? ` (${unavailable})` : ''}`, () => {
  let folder: string

  beforeAll(async () => {
    folder = await temporaryFolder()
    await run(process.execPath, ['scripts/package.mjs', '--own', '--out', join(folder, 'made')], {
      cwd: root,
    })
    for (const file of await readdir(join(folder, 'made'))) {
      if (file.endsWith('.tgz')) await copyFile(join(folder, 'made', file), join(folder, file))
    }
  })

  it('install without scripts, find the native engine, serve TypeScript and classify', async () => {
    const script = join(root, 'test/support/installed.sh')
    const { stdout } = await run('sh', [script], { cwd: folder })
    expect(stdout).toMatch(/^installed: passed: /m)
  })

  it('name an add-on for every platform, of exactly their version', async () => {
    const described = JSON.parse(await readFile(join(folder, 'made/mn-video/package.json'), 'utf8')) as {
      private?: boolean
      scripts?: unknown
      optionalDependencies: Record<string, string>
    }
    expect(described.private).toBeUndefined()
    expect(described.scripts).toBeUndefined()
    for (const platform of PLATFORMS)
      expect(described.optionalDependencies[packageOf(platform)]).toBe(version)
  })

  /** What doctor says of the native engine after something was done to a copy of what is installed. */
  async function broken(change: (modules: string) => Promise<void>) {
    const copy = await temporaryFolder()
    await cp(join(folder, 'node_modules'), join(copy, 'node_modules'), {
      recursive: true,
      verbatimSymlinks: true,
    })
    await change(join(copy, 'node_modules'))
    const { stdout } = await run('npx', ['mn-video', 'doctor'], { cwd: copy })
    expect(stdout).toMatch(/^default engine +ok +tfjs .*wasm/m)
    return /^native +absent +(.*)$/m.exec(stdout)?.[1]
  }

  const addonIn = (modules: string) => join(modules, name, 'mn_video.node')
  async function rewrite(file: string, change: (bytes: Buffer) => Buffer) {
    const bytes = change(await readFile(file))
    await writeFile(file, bytes)
    await writeFile(`${file}.sha256`, createHash('sha256').update(bytes).digest('hex'))
  }

  it('say what is missing, and run on the fallback', async () => {
    const reason = `${name} is not installed; run: npm install ${name}@${version}`
    let copy = ''
    const told = await broken((modules) => {
      copy = join(modules, '..')
      return rm(join(modules, name), { recursive: true })
    })
    expect(told).toBe(reason)
    await cp(join(folder, 'runs'), join(copy, 'runs'), { recursive: true })
    await copyFile(join(folder, 'picture.png'), join(copy, 'picture.png'))
    const evaluate = [
      'mn-video',
      'eval',
      '--image',
      'picture.png',
      '--model',
      'runs/images',
      '--mflops',
      '20',
    ]
    const { stdout } = await run('npx', evaluate, { cwd: copy })
    expect(stdout).toContain(`\n        not native (many times faster): ${reason}\n`)
    expect(stdout).toMatch(/^engine {2}tfjs .* wasm backend/m)
  })

  it('say that an add-on is for another system, and run on the fallback', async () => {
    const other = PLATFORMS.find((platform) => packageOf(platform) !== name)!
    const reason = await broken((modules) => rename(join(modules, name), join(modules, packageOf(other))))
    expect(reason).toMatch(`only ${packageOf(other)}, which is for ${other.os} ${other.cpu}`)
    expect(reason).toMatch(`run: npm install ${name}@${version}`)
  })

  it('say that an add-on is damaged, and run on the fallback', async () => {
    const cutOff = await broken(async (modules) => {
      const file = addonIn(modules)
      await writeFile(file, (await readFile(file)).subarray(0, 100_000))
    })
    expect(cutOff).toMatch(/mn_video\.node is damaged; run: npm install @mn-video/)
    const notALibrary = await broken((modules) =>
      rewrite(addonIn(modules), () => Buffer.from('<html>404</html>')),
    )
    expect(notALibrary).toMatch(/mn_video\.node.*; run: npm install @mn-video/)
  })

  it.skipIf(process.platform !== 'linux')(
    'say that the C library is too old, and run on the fallback',
    async () => {
      const reason = await broken((modules) =>
        rewrite(addonIn(modules), (bytes) => {
          const at = bytes.indexOf('GLIBC_2.')
          bytes.write('GLIBC_9', at, 'latin1')
          return bytes
        }),
      )
      expect(reason).toMatch(
        /C library is too old for it: no GLIBC_9\S*, and it needs glibc 2\.28 or newer; run: /,
      )
    },
  )

  it('classify videos where the library for pictures does not load, and say so', async () => {
    const copy = await temporaryFolder()
    for (const each of ['node_modules', 'runs', 'clip.mp4', 'picture.png'])
      await cp(join(folder, each), join(copy, each), { recursive: true, verbatimSymlinks: true })
    for (const each of await readdir(join(copy, 'node_modules/@img')))
      if (each !== 'colour') await rm(join(copy, 'node_modules/@img', each), { recursive: true })
    const command = (...args: string[]) => run('npx', ['mn-video', ...args], { cwd: copy })
    expect((await command('doctor')).stdout).toMatch(
      /^pictures +absent +pictures are read by sharp, which does not load \(.+\)\. Run: npm install sharp/m,
    )
    const { stdout } = await command('eval', '--clip', 'clip.mp4', '--model', 'runs/x3d', '--gflops', '0.5')
    expect(stdout).toMatch(/^engine {2}native/m)
    await expect(
      command('eval', '--image', 'picture.png', '--model', 'runs/images', '--mflops', '20'),
    ).rejects.toMatchObject({
      stderr: expect.stringMatching(/does not load \(.*\)\.\nRun: npm install sharp/),
    })
  })

  it('say that an add-on is of another version, and run on the fallback', async () => {
    const reason = await broken(async (modules) => {
      const file = join(modules, 'mn-video/package.json')
      await writeFile(
        file,
        (await readFile(file, 'utf8')).replace(`"version": "${version}"`, '"version": "99.0.0"'),
      )
    })
    expect(reason).toMatch(`is of other sources than version 99.0.0; run: npm install ${name}@99.0.0`)
  })
})
