/** Which values make no sense together. Each value alone has been checked by then; defaults are filled in. */
import { specOf } from '../models/index.ts'
import { isVideo } from './models.ts'
import type { Config, KeyName } from './schema.ts'

/** A key and what is wrong with it, as a sentence that starts with the key's name. */
export interface Conflict {
  readonly key: KeyName
  readonly text: string
}

/** Everything that contradicts something else in a configuration. */
export function conflicts(config: Config): Conflict[] {
  const found: Conflict[] = []
  const refuse = (key: KeyName, wrong: boolean, text: string) => {
    if (wrong) found.push({ key, text: `${key} ${text}` })
  }
  const { model, dataset, image_size: size, frames } = config
  const video = isVideo(model)
  const [minWidth, maxWidth] = config.width_mult_range

  refuse(
    'width_mult_range',
    video && maxWidth > 1,
    `goes up to ${maxWidth}; ${model} is slimmed only, so the widest is 1.`,
  )
  const outside = config.width_mult_list.filter((width) => width < minWidth || width > maxWidth)
  refuse(
    'width_mult_list',
    outside.length > 0,
    `has ${outside.slice(0, 5).join(', ')}, outside width_mult_range [${minWidth}, ${maxWidth}].`,
  )
  refuseAbove('resolution_list', config.resolution_list, 'image_size', size)
  refuseAbove('frames_list', config.frames_list, 'frames', frames)

  refuseBelow('image_resize', config.image_resize)
  refuseBelow('short_side', config.short_side)
  refuseBelow('train_short_side', config.train_short_side[0])

  refuse(
    'alpha',
    config.frame_stride % config.alpha !== 0,
    `(${config.alpha}) must divide frame_stride (${config.frame_stride}): the fast pathway takes every (frame_stride / alpha)th frame.`,
  )

  const imagesOnly = dataset !== 'kinetics400' && dataset !== 'folder'
  refuse(
    'dataset',
    video && imagesOnly,
    `${dataset} has images; ${model} needs videos (kinetics400 or folder).`,
  )
  refuse(
    'dataset',
    !video && dataset === 'kinetics400',
    `kinetics400 has videos; ${model} needs images (imagenet1k, cifar10, cifar100 or folder).`,
  )
  for (const key of ['train_list', 'val_list'] as const) {
    const isBinary = dataset.startsWith('cifar')
    refuse(key, isBinary && config[key] !== '', `is for files; ${dataset} has none. Give dataset: folder.`)
  }
  const cifarClasses = dataset === 'cifar10' ? 10 : dataset === 'cifar100' ? 100 : 0
  refuse(
    'num_classes',
    config.num_classes < cifarClasses,
    `(${config.num_classes}) is fewer than the ${cifarClasses} classes of ${dataset}.`,
  )

  const conflict = specOf(model).conflict?.(config)
  if (conflict) refuse(conflict.key, true, conflict.text)

  refuse(
    'warmup_epochs',
    config.warmup_epochs > config.num_epochs,
    `(${config.warmup_epochs}) is more than num_epochs (${config.num_epochs}).`,
  )
  refuse('warmup_lr', config.warmup_lr > config.lr, `(${config.warmup_lr}) is more than lr (${config.lr}).`)
  refuse(
    'nesterov',
    config.nesterov && config.momentum === 0,
    'needs a momentum above 0. Give nesterov: false, or a momentum.',
  )
  return found

  function refuseAbove(key: KeyName, list: readonly number[], limitKey: KeyName, limit: number) {
    const above = list.filter((value) => value > limit)
    refuse(key, above.length > 0, `has ${above.slice(0, 5).join(', ')}, more than ${limitKey} (${limit}).`)
  }

  function refuseBelow(key: KeyName, side: number) {
    refuse(key, side < size, `(${side}) is smaller than image_size (${size}), which is cropped from it.`)
  }
}
