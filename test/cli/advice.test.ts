/** What training and import tell to do next, done: a command in a message is run as it stands there. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/index.ts'
import { buildNetwork } from '../../src/models/index.ts'
import { type Finished, MAIN, mnVideo } from '../support/cli.ts'
import { SMALL_WIDERESNET as CONFIG, writeSmallCifar } from '../support/small-cifar.ts'
import { temporaryFolder } from '../support/small-run.ts'
import { checkpointOf, type State, torchState } from '../support/torch-state.ts'

const folder = await temporaryFolder()
const at = (...names: string[]) => join(folder, ...names)
const run = (...args: string[]) => mnVideo(args, { cwd: folder })
const timeout = 240_000

const network = buildNetwork(parseConfig(CONFIG, 'small.yml'))
const without = (part: RegExp) => new Map([...torchState(network)].filter(([name]) => !part.test(name)))
const write = (name: string, state: ReadonlyMap<string, State>) => writeFile(at(name), checkpointOf(state))

/** Runs the last command that a text has, in a shell as a user would. */
function follow(text: string): Promise<Finished & { readonly command: string }> {
  const command =
    [...text.matchAll(/\bmn-video (?:train|test|eval|import) .*/g)].at(-1)?.[0] ?? 'false # none'
  const env = { ...process.env, PATH: `${at('bin')}:${process.env.PATH}` }
  return new Promise((resolve) => {
    execFile('sh', ['-c', command], { cwd: folder, env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve({ command, code: error ? Number(error.code ?? -1) : 0, stdout, stderr })
    })
  })
}

beforeAll(async () => {
  await mkdir(at('bin'))
  await writeFile(at('bin/mn-video'), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`, {
    mode: 0o755,
  })
  await writeSmallCifar(at('cifar'))
  await writeFile(at('small.yml'), CONFIG)
  await sharp({ create: { width: 40, height: 40, channels: 3, background: '#a52' } })
    .jpeg()
    .toFile(at('picture.jpg'))
})

describe('after a loss that is no number', () => {
  it('the command that is told trains to its end, and so does a lower rate in the same folder', {
    timeout,
  }, async () => {
    const lost = await run('train', 'small.yml', '--out', 'lost', '--set', 'lr=1e30')
    expect(lost.code).toBe(1)
    expect(lost.stderr).not.toContain('--resume')
    const told = await follow(lost.stderr)
    expect(told, told.stderr).toMatchObject({ code: 0 })
    expect(told.command).toMatch(
      /^mn-video train \S*lost --set lr=\S+ --set clip_gradient=1 --out \S*lost-2$/,
    )
    // Nothing had been learned there.
    const again = await run('train', 'small.yml', '--out', 'lost')
    expect(again, again.stderr).toMatchObject({ code: 0 })
  })

  it('a checkpoint on the way there is not told to be gone on from', { timeout }, async () => {
    const args = [
      '--out',
      'late',
      '--set',
      'lr=1e9',
      '--set',
      'num_epochs=9',
      '--set',
      'checkpoint_minutes=1e-9',
    ]
    const lost = await run('train', 'small.yml', ...args)
    if (lost.code === 0) return
    expect(lost.stderr).not.toContain('--resume')
    const resumed = await run('train', 'late', '--resume')
    expect(resumed.code).toBe(1)
    expect(resumed.stderr).toMatch(/--out \S*late-2$/m)
  })
})

describe('a run given to train', () => {
  it('goes on where it has checkpoints, as the message says', { timeout }, async () => {
    expect((await run('train', 'small.yml', '--out', 'whole')).code).toBe(0)
    const again = await run('train', 'whole')
    expect(again).toMatchObject({ code: 1 })
    expect(again.stderr).toContain('Give --resume to go on with it, or another --out.')
    expect(await run('train', 'whole', '--resume')).toMatchObject({ code: 0 })
    const other = await run('train', 'small.yml', '--out', 'whole', '--resume', '--set', 'lr=0.01')
    expect(other.stderr).toContain(
      'Resume with the same one (mn-video train whole --resume), or leave out --resume',
    )
  })

  it('is trained from where it has weights alone, and those stay', { timeout }, async () => {
    expect((await run('init', 'small.yml', '--out', 'made')).code).toBe(0)
    const before = await readFile(at('made/model.safetensors'))
    for (const more of [[], ['--resume']]) {
      const { code, stderr } = await run('train', 'made', ...more)
      expect({ code, stderr }).toMatchObject({ code: 1 })
      expect(stderr).toContain('has weights but no checkpoint')
      if (more.length > 0) continue
      const told = await follow(stderr)
      expect(told, told.stderr).toMatchObject({ code: 0 })
      expect(told.stdout).toMatch(
        /pretrained:\n {2}file +made\/model\.safetensors: safetensors, \d+ tensors\n/,
      )
    }
    expect((await readFile(at('made/model.safetensors'))).equals(before)).toBe(true)
  })

  it('is taken for its configuration by the other commands', { timeout }, async () => {
    await write('all.pyth', torchState(network))
    const { code, stdout } = await run('import', 'all.pyth', '--config', 'made', '--out', 'x', '--dry-run')
    expect({ code, stdout }).toMatchObject({ code: 0 })
  })
})

describe('a file in which two tensors are one of ours', () => {
  it('is imported once it is saved again without one of them', async () => {
    const state = new Map([...torchState(network)].map(([name, value]) => [`module.${name}`, value]))
    const [twice] = [...torchState(network)][0]!
    await write('twice.pyth', new Map([...state, [twice, torchState(network).get(twice)!]]))
    const args = ['--config', 'small.yml', '--dry-run', '--out', 'y']
    const refused = await run('import', 'twice.pyth', ...args)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/are both "[^"]+"\. Save the file again without one of them\./)
    await write('once.pyth', state)
    const { code, stderr } = await run('import', 'once.pyth', ...args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })
})

describe('pretrained', () => {
  it('says and logs what was found, what is fresh and what is left over', { timeout }, async () => {
    const state = without(/^block2\.layer\.0\.(?:conv2|bn2)/)
    state.set('block9.layer.0.conv1.weight', [...state.values()][0]!)
    await write('part.pyth', state)
    const args = ['--set', 'pretrained=part.pyth', '--out', 'from-part']
    const { code, stdout } = await run('train', 'small.yml', ...args)
    expect(code).toBe(0)
    expect(stdout).toMatch(/matched +\d+ tensors\n +missing +3, fresh in the network\n +block2\.layer\.0\./)
    expect(stdout).toMatch(/unexpected +1, left out\n +block9\.layer\.0\.conv1\.weight\n/)
    expect(stdout).toMatch(/head +kept: 10 classes\n/)
    const log = (await readFile(at('from-part/log.jsonl'), 'utf8'))
      .split('\n')
      .map((line) => JSON.parse(line || '{}'))
    expect(log.find(({ event }) => event === 'pretrained')).toMatchObject({
      file: 'part.pyth',
      missing: ['block2.layer.0.bn2.weight', 'block2.layer.0.bn2.bias', 'block2.layer.0.conv2.weight'],
      unexpected: ['block9.layer.0.conv1.weight'],
    })
  })

  it('is refused where little but the classifier would be taken', { timeout }, async () => {
    await write('head.pyth', without(/^block[23]\.|^block1\.layer\.0\.conv2/))
    const { code, stderr } = await run('train', 'small.yml', '--dry-run', '--set', 'pretrained=head.pyth')
    expect(code).toBe(1)
    expect(stderr).toMatch(/head\.pyth: has \d+ % of the weights of WRN-10-1/)
  })

  it("takes one's own run, its weights or a checkpoint, with other classes: the head is fresh", {
    timeout,
  }, async () => {
    await writeFile(
      at('seven.yml'),
      CONFIG.replace('dataset: cifar10\ndataset_dir: cifar\n', 'dataset: folder\nnum_classes: 7\n'),
    )
    expect((await run('init', 'seven.yml', '--out', 'seven')).code).toBe(0)
    for (const path of ['seven', 'seven/model.safetensors', 'whole']) {
      const other = path === 'whole' ? ['--set', 'dataset=cifar10'] : []
      const { code, stdout, stderr } = await run(
        'train',
        'small.yml',
        '--dry-run',
        '--set',
        `pretrained=${path}`,
        ...other,
      )
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      if (path === 'seven/model.safetensors') {
        // What `resume` says of such a file is to do this.
        const resumed = await run('train', 'small.yml', '--dry-run', '--set', `resume=${path}`)
        expect(resumed.stderr).toContain(
          'is not a checkpoint of mn-video.\nGive it as pretrained, not as resume',
        )
      }
      expect(stdout).toMatch(
        path === 'whole'
          ? /head +kept: 10 classes/
          : /head +FRESH: the file's has 7 classes, the configuration 10/,
      )
    }
    // A run that was stopped before it wrote weights has them in its checkpoint.
    await rm(at('whole/model.safetensors'))
    const { stdout } = await run('train', 'small.yml', '--dry-run', '--set', 'pretrained=whole')
    expect(stdout).toMatch(/file +whole\/checkpoint-0+\d+\.safetensors: safetensors, weights, \d+ tensors\n/)
  })
})

describe('import', () => {
  const imported = (file: string, out: string, ...more: string[]) =>
    run('import', file, '--config', 'small.yml', '--out', out, ...more)

  it.each([
    [
      'all weights',
      'all.pyth',
      () => torchState(network),
      /^mn-video eval --image picture\.jpg --model all$/,
    ],
    ['no statistics', 'bare.pyth', () => without(/running_/), /^mn-video test bare$/],
    [
      'a missing layer',
      'some.pyth',
      () => without(/^block2\.layer\.0\.conv2/),
      /^mn-video train some --set pretrained=some/,
    ],
  ])('of %s ends with a command that goes on', { timeout }, async (_, file, state, command) => {
    await write(file, state())
    const { code, stdout } = await imported(file, file.replace('.pyth', ''))
    expect(code).toBe(0)
    const told = await follow(stdout)
    expect(told.command).toMatch(command)
    expect(told, told.stderr).toMatchObject({ code: 0 })
  })

  it('takes --set, and a dry run ends with the command that does it', { timeout }, async () => {
    const { stdout } = await imported(
      'all.pyth',
      'set',
      '--set',
      'num_classes=7',
      '--set',
      'dataset=folder',
      '--dry-run',
    )
    expect(stdout).toMatch(/head +FRESH: the file's has 10 classes, the configuration 7/)
    const told = await follow(stdout)
    expect(told, told.stderr).toMatchObject({ code: 0 })
    expect(await readFile(at('set/config.yml'), 'utf8')).toMatch(/^num_classes: 7 /m)
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY])(
    'refuses weights of %d, naming them',
    { timeout },
    async (value) => {
      const state = torchState(network)
      state.get('block1.layer.0.conv1.weight')!.values[5] = value
      await write('bad.pyth', state)
      const { code, stderr } = await imported('bad.pyth', 'bad')
      expect(code).toBe(1)
      expect(stderr).toMatch(
        /bad\.pyth: "block1\.layer\.0\.conv1\.weight" has 1 of \d+ values that are NaN or infinite\./,
      )
    },
  )

  it('refuses a variance below 0', { timeout }, async () => {
    const state = torchState(network)
    state.get('bn1.running_var')!.values[0] = -1
    await write('bad.pyth', state)
    expect((await imported('bad.pyth', 'bad')).stderr).toContain('"bn1.running_var" has 1 of 64 values')
  })

  it('takes what it refused once the option that it names is left out', { timeout }, async () => {
    for (const [file, option, way] of [
      ['some.pyth', ['--strict'], 'Leave out --strict'],
      [
        'all.pyth',
        ['--set', 'num_classes=7', '--set', 'dataset=folder', '--head', 'keep'],
        'Leave out --head keep',
      ],
      ['all.pyth', ['--set', 'widen_factor=2'], 'Give --config the configuration of the network'],
    ] as const) {
      const { code, stderr } = await imported(file, 'never', ...option)
      expect({ code, stderr }).toMatchObject({ code: 1 })
      expect(stderr).toContain(way)
      const rest = option.slice(0, way.includes('--head') ? -2 : 0)
      expect(await imported(file, 'never', ...rest, '--dry-run')).toMatchObject({ code: 0 })
    }
  })
})
