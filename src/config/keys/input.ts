/** The keys that say what the network sees: the data set, sizes, frames and how samples are read. */
import { frameCountsOf, shortSideOf, shortSidesOf, sizesOf } from '../defaults.ts'
import { AS_DEFAULT, key } from '../key.ts'
import { flag, integer, list, number, oneOf, pattern, range, rgb, text } from '../kinds.ts'
import type { EarlierValues } from '../models.ts'
import { byMedia, byModel, imageModels, isVideo, modelsWith, videoModels } from '../models.ts'
import { VIEWS } from '../views.ts'

/** Pixels a side of a crop: the largest square that is decoded has 2^26 in all. */
const side = integer({ min: 1, most: 8192 })
/** Pixels of a picture's shorter side before it is cropped. */
const scaledSide = integer({ min: 1, most: 16_384 })
/** Frames of one clip, and steps between them. */
const frameCount = integer({ min: 1, most: 1024 })
const step = integer({ min: 1, most: 4096 })

const cifarMean = [125.3 / 255, 123 / 255, 113.9 / 255] as const
const cifarStd = [63 / 255, 62.1 / 255, 66.7 / 255] as const
const isCifar = (known: EarlierValues) => known.dataset.startsWith('cifar')

export const input = {
  dataset: key({
    kind: oneOf('kinetics400', 'imagenet1k', 'cifar10', 'cifar100', 'folder'),
    default: byModel('dataset', { video: 'kinetics400', image: 'imagenet1k' }),
    doc: 'What is in dataset_dir; folder: train/CLASS/FILE and val/CLASS/FILE.',
    changes: 'nothing',
  }),
  dataset_dir: key({
    kind: text,
    default: '',
    doc: 'Folder of the data set: train/ and val/ with a folder per class, or train.csv and val.csv; CIFAR: its .bin files.',
    changes: 'nothing',
  }),
  train_list: key({
    kind: text,
    default: '',
    doc: 'List to train on, "path label" a line, relative to this file; instead of what dataset_dir has.',
    changes: 'nothing',
  }),
  val_list: key({ kind: text, default: '', doc: 'List to validate on, likewise.', changes: 'nothing' }),
  list_root: key({
    kind: text,
    default: '',
    doc: 'Folder that relative paths in lists start from, relative to this file; none: the folder of each list.',
    changes: 'nothing',
  }),
  num_classes: key({
    kind: integer({ min: 1, max: 100_000 }),
    default: (known: EarlierValues) => classesOf(known),
    follows: 'the data set',
    doc: 'Classes; with dataset: folder those of its classes.txt or folders.',
  }),
  labels: key({
    kind: text,
    default: '',
    doc: 'Class names: kinetics400, imagenet1k (where the number fits), or a text file, one a line, relative to this file; default: those of the data.',
    changes: 'nothing',
  }),
  image_size: key({
    kind: side,
    default: byModel('image_size', { video: 224, image: (known) => (isCifar(known) ? 32 : 224) }),
    doc: 'Height and width of the full configuration: the training crop.',
  }),
  resolution_list: key({
    kind: list(side),
    default: sizesOf,
    follows: '{1, .86, .71, .57} × image_size to multiples of 4',
    doc: 'Sizes drawn in training and swept in testing.',
    changes: 'nothing',
  }),
  frames: key({
    kind: frameCount,
    default: byModel('frames', { other: 1 }),
    only: videoModels,
    doc: 'Frames of the full configuration; for slowfast those of the slow pathway.',
  }),
  frames_list: key({
    kind: list(frameCount),
    default: frameCountsOf,
    follows: '{1, .8, .6, .4} × frames',
    only: videoModels,
    doc: 'Frame counts drawn in training and swept in testing.',
    changes: 'nothing',
  }),
  frame_stride: key({
    kind: step,
    default: byModel('frame_stride', { other: 1 }),
    only: videoModels,
    doc: 'A clip spans frames × this many frames at clip_fps, and takes its frames evenly from the first to the last of them.',
  }),
  alpha: key({
    kind: step,
    default: byModel('alpha', { other: 1 }),
    follows: 'frame_stride / 2',
    only: modelsWith('alpha'),
    doc: 'Frames of the fast pathway for one of the slow pathway.',
  }),
  clip_fps: key({
    kind: number({ above: 0, most: 1000 }),
    default: 30,
    only: videoModels,
    doc: 'Frames a second that frame_stride counts in, whatever the file has.',
  }),
  short_side: key({
    kind: scaledSide,
    default: byMedia({ video: shortSideOf, image: (known) => known.image_size }),
    follows: '256/224 × image_size, even',
    only: videoModels,
    doc: 'Shorter side that a video is scaled to in testing at image_size; smaller sizes in proportion, larger ones at least their own.',
  }),
  train_short_side: key({
    kind: range(scaledSide),
    default: byMedia<readonly [number, number]>({
      video: shortSidesOf,
      image: (known) => [known.image_size, known.image_size],
    }),
    follows: '256/224 to 320/224 × image_size, even',
    only: videoModels,
    doc: 'Shorter side that a video is scaled to in training: drawn from this range.',
    changes: 'calibration',
  }),
  scaling: key({
    kind: oneOf('antialiased', 'bilinear'),
    default: 'antialiased',
    before: 'antialiased',
    doc: 'How pictures are scaled: as PIL and FFmpeg do, or as PyTorch does without antialiasing (PySlowFast, PyTorchVideo).',
  }),
  views: key({
    kind: pattern(VIEWS, 'VIEWSxCROPS with 1 or 3 crops, such as 10x3'),
    default: '1x1',
    only: videoModels,
    doc: 'Temporal views × spatial crops of a test video; published accuracies: 10x3 at a size of short_side.',
    changes: 'nothing',
  }),
  image_resize: key({
    kind: scaledSide,
    default: (known: EarlierValues) =>
      isCifar(known) || isVideo(known.model) ? known.image_size : shortSideOf(known),
    follows: '256/224 × image_size; CIFAR: image_size',
    only: imageModels,
    doc: 'Shorter side that an image is scaled to in testing.',
  }),
  data_transforms: key({
    kind: oneOf('imagenet1k_basic', 'imagenet1k_mobile'),
    default: byModel('data_transforms', { other: 'imagenet1k_basic' }),
    only: imageModels,
    doc: 'Smallest random crop in training: basic .08, mobile .25 of the image. CIFAR: pad 4 and crop instead.',
    changes: 'calibration',
  }),
  mean: key({
    kind: rgb(number({ min: 0, max: 1 })),
    default: byMedia<readonly [number, number, number]>({
      video: [0.45, 0.45, 0.45],
      image: (known) => (isCifar(known) ? cifarMean : [0.485, 0.456, 0.406]),
    }),
    doc: 'Subtracted from pixels in 0..1.',
  }),
  std: key({
    kind: rgb(number({ above: 0, most: 1000 })),
    default: byMedia<readonly [number, number, number]>({
      video: [0.225, 0.225, 0.225],
      image: (known) => (isCifar(known) ? cifarStd : [0.229, 0.224, 0.225]),
    }),
    doc: 'Pixels are divided by it after the mean.',
  }),
  flip: key({
    kind: flag,
    default: true,
    doc: 'Mirror half of the samples in training; false where left and right tell classes apart.',
    changes: 'calibration',
  }),
  data_loader_workers: key({
    kind: integer({ min: 0, max: 1024 }),
    default: 4,
    doc: 'Decoders that run at the same time.',
    changes: 'nothing',
  }),
  cache_gib: key({
    kind: number({ min: 0, most: 65_536 }),
    default: 0,
    before: AS_DEFAULT,
    only: videoModels,
    doc: 'Memory in which all training videos are kept decoded, for small data sets of short ones; 0: decoded anew.',
    changes: 'calibration',
  }),
  drop_last: key({
    kind: flag,
    default: false,
    doc: 'Leave out the last, smaller batch of an epoch.',
    changes: 'calibration',
  }),
  max_bad_fraction: key({
    kind: number({ min: 0, max: 1 }),
    default: 0.05,
    doc: 'Stop when more than this share of the samples cannot be read.',
    changes: 'nothing',
  }),
}

function classesOf({ model, dataset }: EarlierValues): number {
  if (dataset === 'cifar10') return 10
  if (dataset === 'cifar100') return 100
  return isVideo(model) ? 400 : 1000
}
