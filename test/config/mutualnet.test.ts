import { describe, expect, it } from 'vitest'
import { applyOverrides, parseConfig } from '../../src/config/index.ts'
import { ignoredKeys } from '../../src/config/schema.ts'

/** MutualNet's keys, laid out as its files are; written for this test. */
const imagenet = (model: string, lines: readonly string[]) => `
# data
dataset: imagenet1k
data_transforms: imagenet1k_mobile
data_loader: imagenet1k_basic
dataset_dir: /data/imagenet
data_loader_workers: 8

num_classes: 1000
image_resize: 256
image_size: 224
num_epochs: 90
print_freq: 50

optimizer: sgd
momentum: 0.9
weight_decay: 0.0002
nesterov: True
lr: 0.25
lr_scheduler: cosine
profiling: [gpu, cpu]
model_profiling_verbose: False

random_seed: 7
batch_size: 256
drop_last: True
log_dir: logs/
model: ${model}
reset_parameters: True
resolution_list: [224, 192, 160, 128]
test_only: False
pretrained: ''
resume: ''
${lines.join('\n')}
`

const shared = {
  dataset: 'imagenet1k',
  data_transforms: 'imagenet1k_mobile',
  dataset_dir: '/data/imagenet',
  data_loader_workers: 8,
  num_classes: 1000,
  image_resize: 256,
  image_size: 224,
  num_epochs: 90,
  print_freq: 50,
  optimizer: 'sgd',
  momentum: 0.9,
  weight_decay: 0.0002,
  nesterov: true,
  lr: 0.25,
  lr_scheduler: 'cosine',
  random_seed: 7,
  batch_size: 256,
  drop_last: true,
  log_dir: 'logs/',
  resolution_list: [224, 192, 160, 128],
  test_only: false,
  pretrained: '',
  resume: '',
}

describe("MutualNet's files", () => {
  it.each([
    [
      'models.mobilenet_v1',
      ['width_mult_range: [0.25, 1.0]', 'width_mult_list: [0.25, 1.0] #, 0.5'],
      'mobilenet_v1',
      [0.25, 1],
    ],
    [
      'models.us_mobilenet_v1',
      ['width_mult_range: [0.25, 1.0]', 'width_mult_list: [0.25, 1.0]'],
      'mobilenet_v1',
      [0.25, 1],
    ],
    [
      'models.mobilenet_v2',
      ['width_mult_range: [0.7, 1.0]', 'width_mult_list: [0.7, 1.0]'],
      'mobilenet_v2',
      [0.7, 1],
    ],
    [
      'models.resnet',
      ['depth: 50', 'width_mult_range: [0.9, 1.0]', 'width_mult_list: [0.9, 1.0]'],
      'resnet50',
      [0.9, 1],
    ],
    [
      'models.resnet',
      ['depth: 152', 'width_mult_range: [0.9, 1.0]', 'width_mult_list: [0.9, 1.0]'],
      'resnet152',
      [0.9, 1],
    ],
  ])('load unchanged: %s %s', (model, lines, name, widths) => {
    expect(parseConfig(imagenet(model, lines), 'apps/a.yml')).toMatchObject({
      ...shared,
      model: name,
      width_mult_range: widths,
      width_mult_list: widths,
    })
  })

  it('load unchanged: models.wideresnet on CIFAR, which has no transforms and no folder', () => {
    const text = `
dataset: cifar100
num_classes: 100
image_size: 32
num_epochs: 200
weight_decay: 0.0005
lr: 0.1
batch_size: 128
model: models.wideresnet
depth: 28
widen_factor: 10
dropoutrate: 0.0
reset_parameters: True
width_mult_list: [0.9, 1.0]
width_mult_range: [0.9, 1.0]
resolution_list: [32, 28, 24, 20]
`
    const config = parseConfig(text, 'apps/wideresnet.yml')
    expect(config).toMatchObject({
      model: 'wideresnet',
      depth: 28,
      widen_factor: 10,
      dropoutrate: 0,
      num_classes: 100,
    })
    // MutualNet normalises CIFAR with its own statistics, not ImageNet's.
    expect(config.mean[0]).toBeCloseTo(125.3 / 255, 12)
    expect(config.std[2]).toBeCloseTo(66.7 / 255, 12)
  })

  it('may scale an image network up', () => {
    const lines = ['width_mult_range: [0.25, 1.6]', 'width_mult_list: [0.25, 1.6]']
    const config = parseConfig(imagenet('models.mobilenet_v1', lines), 'a.yml')
    expect(applyOverrides(config, ['image_size=288', 'image_resize=330'])).toMatchObject({
      image_size: 288,
      width_mult_range: [0.25, 1.6],
    })
  })

  it('may hold keys that change nothing here', () => {
    const lines = Object.keys(ignoredKeys).map((name) => `${name}: [anything]`)
    expect(parseConfig(['model: x3d', ...lines].join('\n'), 'a.yml')).toEqual(
      parseConfig('model: x3d', 'a.yml'),
    )
  })
})
