import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyOverrides, formatConfig, parseConfig } from '../../src/config/index.ts'
import { models } from '../../src/config/models.ts'

/** YAML lines of a valid configuration, drawn key by key so that values agree with each other. */
const recipe = fc
  .record({
    model: fc.constantFrom(...models),
    size: fc.integer({ min: 1, max: 500 }),
    frames: fc.integer({ min: 1, max: 64 }),
    width: fc.double({ min: 0.01, max: 1, noNaN: true }),
    lr: fc.double({ min: 1e-12, max: 100, noNaN: true }),
    decay: fc.double({ min: 0, max: 1, noNaN: true }),
    batch: fc.integer({ min: 1, max: 4096 }),
    seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    epochs: fc.integer({ min: 1, max: 1000 }),
    folder: fc.string({ unit: 'binary', maxLength: 30 }).map((text) => text.replace(/\p{Cc}/gu, '')),
    flag: fc.boolean(),
    variant: fc.constantFrom('xs', 's', 'm', 'l'),
    views: fc.constantFrom('1x1', '10x1', '10x3'),
    given: fc.uniqueArray(fc.nat(20)),
  })
  .map((r) => {
    const video = ['x3d', 'slow', 'slowfast'].includes(r.model)
    const lines = [
      `image_size: ${r.size}`,
      `width_mult_range: [${r.width}, 1]`,
      `lr: ${r.lr}`,
      `weight_decay: ${r.decay}`,
      `batch_size: ${r.batch}`,
      `random_seed: ${r.seed}`,
      `num_epochs: ${r.epochs}`,
      `dataset_dir: ${JSON.stringify(r.folder)}`,
      `labels: ${JSON.stringify(r.folder)}`,
      `nesterov: ${r.flag}`,
      ...(r.model === 'x3d' ? [`variant: ${r.variant}`] : []),
      ...(video ? [`frames: ${r.frames}`, `views: ${r.views}`, `clip_fps: ${r.lr}`] : []),
    ]
    return [`model: ${r.model}`, ...lines.filter((_, i) => r.given.includes(i))].join('\n')
  })

describe('formatConfig', () => {
  it('loads back to an equal configuration, whatever was given', () => {
    fc.assert(
      fc.property(recipe, (text) => {
        const config = parseConfig(text, 'a.yml')
        expect(parseConfig(formatConfig(config), 'runs/b/config.yml')).toEqual(config)
        expect(applyOverrides(config, [])).toEqual(config)
      }),
      { seed: 1995, numRuns: 300 },
    )
  })

  it('has what each key means beside it, and no key the model has no use for', () => {
    const text = formatConfig(parseConfig('model: slow', 'a.yml'))
    expect(text).toMatch(/^frames: 8 +# Frames of the full configuration/m)
    expect(text).toMatch(/^labels: "" +# /m)
    expect(text).not.toMatch(/^(alpha|variant|depth|image_resize):/m)
  })
})

describe('the file of a run', () => {
  // What version 0.1 wrote: every key there was, none that came later.
  const later = /^(?:cache_gib|zero_init_final_bn|weight_decay_on|channelwise_init|scaling|given):/
  const written = (text: string) =>
    formatConfig(parseConfig(text, 'a.yml'))
      .split('\n')
      .filter((line) => !later.test(line))
      .join('\n')

  it.each(['x3d', 'mobilenet_v1', 'wideresnet'])(
    'of %s from before a key means what was done then',
    (model) => {
      const before = { weight_decay_on: 'dense', channelwise_init: 'taps' }
      const old = parseConfig(written(`model: ${model}`), 'runs/a/config.yml')
      expect(old).toMatchObject(before)
      expect(applyOverrides(old, ['num_epochs=3'])).toMatchObject(before)
      expect(parseConfig(formatConfig(old), 'runs/b/config.yml')).toEqual(old)
    },
  )

  it('is told from a recipe, which leaves keys to their defaults', () => {
    const recipe = written('model: x3d').replace(/^momentum:.*\n/m, '')
    expect(parseConfig(recipe, 'a.yml')).toMatchObject({
      weight_decay_on: 'no_norms',
      channelwise_init: 'fan_out',
    })
  })
})

describe('applyOverrides', () => {
  const config = parseConfig('model: x3d\nlr: 0.3\nframes_list: [16, 8]', 'a.yml')
  const set = (...overrides: string[]) => applyOverrides(config, overrides)

  it('replaces values, written as in YAML', () => {
    expect(set('lr=1e-3', 'resolution_list=[224, 112]', 'drop_last=true')).toMatchObject({
      lr: 0.001,
      resolution_list: [224, 112],
      drop_last: true,
      frames_list: [16, 8],
    })
  })

  it('lets defaults follow, in a resolved configuration too', () => {
    const resolved = parseConfig(formatConfig(parseConfig('model: x3d', 'a.yml')), 'b.yml')
    expect(applyOverrides(resolved, ['frames=8'])).toEqual(parseConfig('model: x3d\nframes: 8', 'a.yml'))
    expect(applyOverrides(resolved, ['variant=s'])).toEqual(parseConfig('model: x3d\nvariant: s', 'a.yml'))
    expect(applyOverrides(resolved, ['model=slow'])).toEqual(parseConfig('model: slow', 'a.yml'))
  })

  it('keeps what was given where it is the default, too', () => {
    const file = parseConfig('model: x3d\nbatch_size: 128\nlr: 0.1\nnum_epochs: 3\nwarmup_epochs: 0', 'a.yml')
    const again = parseConfig(formatConfig(file), 'runs/a/config.yml')
    const twice = applyOverrides(applyOverrides(file, ['lr=0.1']), ['frames=8'])
    for (const each of [file, again, twice]) {
      expect(applyOverrides(each, ['batch_size=64']).lr).toBe(0.1)
      expect(applyOverrides(each, ['num_epochs=100']).warmup_epochs).toBe(0)
      expect(applyOverrides(each, ['accumulate=2']).lr).toBe(0.1)
      // What was not given follows.
      expect(applyOverrides(each, ['frames=6']).frames_list).toEqual([6, 5, 4, 2])
    }
    expect(applyOverrides(parseConfig('model: x3d', 'a.yml'), ['batch_size=64']).lr).toBe(0.05)
    const set = applyOverrides(parseConfig('model: x3d', 'a.yml'), ['lr=0.1'])
    expect(applyOverrides(set, ['batch_size=64']).lr).toBe(0.1)
  })

  it('keeps a line that was edited in the file of a run', () => {
    const text = formatConfig(parseConfig('model: x3d', 'a.yml')).replace(/^lr: 0.1 /m, 'lr: 0.2 ')
    expect(applyOverrides(parseConfig(text, 'b.yml'), ['batch_size=64']).lr).toBe(0.2)
  })

  it('lets defaults follow in the file of a run of an earlier version, which does not tell what was given', () => {
    const text = formatConfig(parseConfig('model: x3d\nlr: 0.3', 'a.yml')).replace(/^given: .*$/m, '')
    const config = parseConfig(text, 'b.yml')
    expect(applyOverrides(config, ['frames=8', 'num_epochs=10'])).toMatchObject({
      frames_list: [8, 6, 5, 3],
      warmup_epochs: 2,
      lr: 0.3,
    })
  })

  it('leaves behind what means nothing for another model', () => {
    expect(applyOverrides(parseConfig('model: x3d\nvariant: s\nlr: 0.3', 'a.yml'), ['model=slow'])).toEqual(
      parseConfig('model: slow\nlr: 0.3', 'a.yml'),
    )
    const resnet = parseConfig('model: models.resnet\ndepth: 101', 'a.yml')
    expect(applyOverrides(resnet, ['model=resnet50']).depth).toBe(50)
    expect(() => applyOverrides(resnet, ['given=[lr]'])).toThrow('unknown key "given"')
  })

  it('takes the last of two', () => {
    expect(set('lr=0.2', 'lr=0.4').lr).toBe(0.4)
  })

  it('takes text as it is', () => {
    expect(set('dataset_dir=/data/a: b #c').dataset_dir).toBe('/data/a: b #c')
    expect(set('log_dir=2024').log_dir).toBe('2024')
  })

  it.each([
    ['lr=fast', '--set lr=fast: lr must be a number above 0, not "fast".'],
    ['frames=8', '--set frames=8: frames_list has 16, more than frames (8).'],
    ['framse=8', '--set framse=8: unknown key "framse". Did you mean "frames"?'],
    ['lr=[1', '--set lr=[1: not valid YAML: '],
    ['lr=', '--set lr=: lr must be a number above 0, not an empty value.'],
    ['lr', '--set "lr": expected key=value on one line, such as frames=8.'],
    ['=1', '--set "=1": expected key=value'],
    ['lr=1\nframes: 2', 'expected key=value on one line'],
  ])('names what is wrong with %j', (override, message) => {
    expect(() => set(override)).toThrow(message)
  })
})
