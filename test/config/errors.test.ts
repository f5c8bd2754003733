import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/index.ts'
import { MnVideoError } from '../../src/errors.ts'
import { MODELS } from '../../src/models/index.ts'

const VIDEO_MODELS = MODELS.filter(({ media }) => media === 'video')
  .map(({ name }) => name)
  .join(', ')

function messageFor(text: string): string {
  try {
    parseConfig(text, 'c.yml')
  } catch (error) {
    expect(error).toBeInstanceOf(MnVideoError)
    expect((error as MnVideoError).code).toBe('config')
    expect((error as MnVideoError).message.split('\n').length).toBeLessThanOrEqual(3)
    return (error as MnVideoError).message
  }
  throw new Error('no error')
}

describe('errors of one key', () => {
  it.each([
    [
      'a mistyped key',
      'model: x3d\nwidht_mult_range: [0.5, 1]',
      'c.yml:2: unknown key "widht_mult_range". Did you mean "width_mult_range"?',
    ],
    ['the beginning of a key', 'model: x3d\nresolutoin: 3', 'Did you mean "resolution_list"?'],
    ['a letter missing', 'model: x3d\nframe: 3', 'Did you mean "frames"?'],
    ['hyphens', 'model: x3d\nimage-size: 3', 'c.yml:2: unknown key "image-size". Did you mean "image_size"?'],
    ['capitals', 'model: x3d\nLR: 3', 'c.yml:2: unknown key "LR". Did you mean "lr"?'],
    ['swapped letters', 'model: x3d\nferams: 3', 'c.yml:2: unknown key "ferams". Did you mean "frames"?'],
    [
      'a key like no other',
      'model: x3d\nqqqqqqqqq: 3',
      'c.yml:2: unknown key "qqqqqqqqq". The nearest known key is "',
    ],
    ['__proto__', '__proto__: 3\nmodel: x3d', 'c.yml:1: unknown key "__proto__".'],
    ['constructor', 'constructor: 3\nmodel: x3d', 'c.yml:1: unknown key "constructor".'],
    [
      'text for a number',
      '\nmodel: x3d\n\n# why\nimage_size: big',
      'c.yml:5: image_size must be an integer of at least 1, not "big".',
    ],
    [
      'a fraction for an integer',
      'model: x3d\nframes: 1.5',
      'c.yml:2: frames must be an integer of at least 1, not 1.5.',
    ],
    ['zero', 'model: x3d\nimage_size: 0', 'c.yml:2: image_size must be an integer of at least 1, not 0.'],
    ['not a number', 'model: x3d\nlr: .nan', 'c.yml:2: lr must be a number above 0, not NaN.'],
    ['infinity', 'model: x3d\nlr: .inf', 'c.yml:2: lr must be a number above 0, not Infinity.'],
    [
      'a number too large for one',
      'model: x3d\nlr: 1e999',
      'c.yml:2: lr must be a number above 0, not Infinity.',
    ],
    ['no value', 'model: x3d\nlr:', 'c.yml:2: lr must be a number above 0, not an empty value.'],
    ['yes', 'model: x3d\nnesterov: yes', 'c.yml:2: nesterov must be true or false, not "yes".'],
    ['a mapping', 'model: x3d\nlr: {a: 1}', 'c.yml:2: lr must be a number above 0, not a mapping.'],
    [
      'an entry of a list',
      'model: x3d\nframes_list:\n  - 4\n  - four',
      'c.yml:4: frames_list must be a list, each entry an integer of at least 1, not [4,"four"].',
    ],
    [
      'one number for a list',
      'model: x3d\nresolution_list: 224',
      'c.yml:2: resolution_list must be a list, each entry',
    ],
    [
      'an empty list',
      'model: x3d\nresolution_list: []',
      'c.yml:2: resolution_list must be a list, each entry',
    ],
    [
      'a range of three',
      'model: x3d\nwidth_mult_range: [0.5, 0.7, 1]',
      'c.yml:2: width_mult_range must be [smallest, largest],',
    ],
    [
      'a range upside down',
      'model: x3d\nwidth_mult_range: [1, 0.5]',
      'c.yml:2: width_mult_range must be [smallest, largest],',
    ],
    [
      'infinity in a list',
      'model: x3d\nmean: [0.1, .inf, 0.1]',
      'c.yml:2: mean must be three values, each a number of at least 0 and at most 1, not [0.1,"Infinity",0.1].',
    ],
    ['an unknown model', 'model: x3b', 'not "x3b". Did you mean "x3d"?'],
    ['an unknown optimiser', 'model: x3d\noptimizer: adam', 'c.yml:2: optimizer must be sgd, not "adam".'],
    [
      'a malformed views',
      'model: x3d\nviews: 10x2',
      'c.yml:2: views must be VIEWSxCROPS with 1 or 3 crops, such as 10x3, not "10x2".',
    ],
    ['a line break in a path', 'model: x3d\nlabels: "a\\nb"', 'c.yml:2: labels must be text on one line'],
    ['no model', 'lr: 0.1', 'c.yml: model is missing. It must be one of x3d, slow,'],
  ])('%s', (_, text, message) => {
    expect(messageFor(text)).toContain(message)
  })

  it('shows long and odd values short and harmless', () => {
    const message = messageFor(`model: x3d\nlr: "${'\\x9b'.repeat(500)}"\n${'k'.repeat(9999)}: 1`)
    expect(message.length).toBeLessThan(400)
    expect(message).not.toMatch(/\x9b/)
  })

  it('tells the first three, by line, and how many more there are', () => {
    expect(messageFor('e: 1\nd: 1\nmodel: x3d\nlr: x\nframes: x\nb: 1')).toBe(
      [
        'c.yml:1: unknown key "e". The nearest known key is "ema".',
        'c.yml:2: unknown key "d". The nearest known key is "lr".',
        'c.yml:4: lr must be a number above 0, not "x". (and 2 more)',
      ].join('\n'),
    )
  })
})

describe('errors of the text', () => {
  it.each([
    ['an open bracket', 'model: x3d\nframes_list: [1, 2\nlr: 3\n', /^c\.yml:3: not valid YAML: .*]\.$/],
    ['a line without a colon', 'model: x3d\nframes', /^c\.yml:2: not valid YAML: /],
    ['tabs', 'model: x3d\nmean:\n\t- 1', /^c\.yml:3: not valid YAML: Tabs/],
    [
      'duplicate keys',
      'model: x3d\nlr: 1\nlr: 2',
      /^c\.yml:3: key "lr" is already given in line 2\. Remove one of them\.$/,
    ],
    [
      'two documents',
      'model: x3d\n---\nmodel: slow',
      /^c\.yml:2: not valid YAML: a second document starts here/,
    ],
    [
      'an include',
      'model: x3d\nlr: !include lr.yml',
      /^c\.yml:2: not valid YAML: Unresolved tag: !include\.$/,
    ],
    ['a Python object', 'model: !!python/object:os.system x', /^c\.yml:1: not valid YAML: Unresolved tag/],
    ['an alias', 'lr: &a 1\nmodel: *a', /^c\.yml:1: anchors \(&\) and aliases \(\*\) are not used/],
    ['a list', '- model: x3d', /^c\.yml:1: the configuration must be "key: value" lines\.$/],
    ['plain text', 'hello', /^c\.yml:1: the configuration must be "key: value" lines\.$/],
    [
      'nothing',
      '# only a comment',
      /^c\.yml: the configuration is empty\. Give at least a model, such as model: x3d\.$/,
    ],
    ['a list as a key', '? [a]\n: 1', /^c\.yml:1: a key must be a plain name, such as model\.$/],
  ])('%s', (_, text, message) => {
    expect(messageFor(text)).toMatch(message)
  })

  it('an alias bomb and deep nesting end in an error', () => {
    const bomb = [
      'a: &a [x, x]',
      ...Array.from('bcdefghij', (k, i) => `${k}: &${k} [*${'abcdefghi'[i]}, *${'abcdefghi'[i]}]`),
    ]
    expect(messageFor(bomb.join('\n'))).toMatch(/^c\.yml:1: anchors/)
    expect(messageFor(`model: ${'['.repeat(50_000)}`)).toMatch(
      /^c\.yml:1: not valid YAML: it is nested too deeply\.$/,
    )
  })
})

describe('any text', () => {
  it('is a configuration or a config error, and nothing else', () => {
    const good =
      'model: slowfast\n# why\nframes: 8\nframe_stride: 8\nwidth_mult_range: [0.63, 1.0]\nlabels: "a b"\n'
    const piece = fc.oneof(
      fc.constantFrom(
        ...'&a *a !!int !x --- ... ? : - [ ] { } | > % @ ` << ~ .inf 0x1f "'.split(' '),
        '\n',
        '  ',
        '\t',
        '\0',
      ),
      fc.string({ unit: 'binary', maxLength: 4 }),
    )
    const edit = fc.tuple(fc.nat(good.length), fc.nat(5), piece)
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
        const text = edits.reduce((t, [at, cut, insert]) => t.slice(0, at) + insert + t.slice(at + cut), good)
        try {
          parseConfig(text, 'c.yml')
        } catch (error) {
          if (!(error instanceof MnVideoError) || error.code !== 'config') throw error
        }
      }),
      { seed: 1995, numRuns: 1000 },
    )
  })
})

describe('values that contradict each other', () => {
  it.each([
    [
      'model: slow\nwidth_mult_range: [0.63, 1.6]',
      '2: width_mult_range goes up to 1.6; slow is slimmed only, so the widest is 1.',
    ],
    [
      'model: slow\nwidth_mult_list: [0.5, 1]',
      '2: width_mult_list has 0.5, outside width_mult_range [0.63, 1].',
    ],
    ['model: slow\nresolution_list: [256, 224]', '2: resolution_list has 256, more than image_size (224).'],
    ['model: slow\nframes_list: [8, 16]\nframes: 8', '2: frames_list has 16, more than frames (8).'],
    [
      'model: slow\nshort_side: 200',
      '2: short_side (200) is smaller than image_size (224), which is cropped from it.',
    ],
    [
      'model: slow\ntrain_short_side: [200, 320]',
      '2: train_short_side (200) is smaller than image_size (224)',
    ],
    ['model: resnet50\nimage_resize: 200', '2: image_resize (200) is smaller than image_size (224)'],
    ['model: slowfast\nalpha: 3', '2: alpha (3) must divide frame_stride (16)'],
    [
      'model: slow\ndataset: cifar10',
      '2: dataset cifar10 has images; slow needs videos (kinetics400 or folder).',
    ],
    ['model: resnet50\ndataset: kinetics400', '2: dataset kinetics400 has videos; resnet50 needs images'],
    [
      'model: wideresnet\ndataset: cifar100\nnum_classes: 10',
      '3: num_classes (10) is fewer than the 100 classes of cifar100.',
    ],
    ['model: models.resnet\ndepth: 18', '2: depth must be 50, 101 or 152 for a ResNet, not 18.'],
    [
      'model: resnet50\ndepth: 101',
      '2: depth 101 contradicts model resnet50. Leave depth out, or give model: resnet101.',
    ],
    [
      'model: wideresnet\ndepth: 29',
      '2: depth must be 6n + 4 with n of at least 1 for a WideResNet (10, 16, 22, 28, …), not 29.',
    ],
    ['model: slow\nwarmup_epochs: 200', '2: warmup_epochs (200) is more than num_epochs (196).'],
    ['model: slow\nwarmup_lr: 1', '2: warmup_lr (1) is more than lr (0.1).'],
    ['model: slow\nmomentum: 0', 'nesterov needs a momentum above 0. Give nesterov: false, or a momentum.'],
    ['model: slow\nvariant: m', '2: variant means nothing for model slow; it is for x3d. Remove it.'],
    [
      'model: mobilenet_v1\nframes: 8',
      `2: frames means nothing for model mobilenet_v1; it is for ${VIDEO_MODELS}. Remove it.`,
    ],
    [
      'model: x3d\ndepth: 50',
      '2: depth means nothing for model x3d; it is for resnets, wideresnet. Remove it.',
    ],
  ])('%s', (text, message) => {
    expect(messageFor(text)).toContain(message)
  })
})
