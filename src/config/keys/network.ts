/** The keys that say which network it is and how wide. */
import { widthsOf } from '../defaults.ts'
import { key } from '../key.ts'
import { integer, list, number, oneOf, range } from '../kinds.ts'
import { byMedia, byModel, models, modelsWith } from '../models.ts'

const fraction = number({ min: 0, below: 1 })
const width = number({ above: 0, max: 10 })

export const network = {
  model: key({ kind: oneOf(...models), default: 'x3d', doc: 'The network.' }),
  variant: key({
    kind: oneOf('xs', 's', 'm', 'l'),
    default: 'm',
    only: modelsWith('variant'),
    doc: 'The published X3D that depth_factor, frames, frame_stride and image_size follow.',
  }),
  depth_factor: key({
    kind: number({ above: 0, most: 50 }),
    default: byModel('depth_factor', { other: 1 }),
    only: modelsWith('depth_factor'),
    doc: "X3D's depth expansion.",
  }),
  width_factor: key({
    kind: number({ above: 0, most: 50 }),
    default: 2,
    only: modelsWith('width_factor'),
    doc: "X3D's width expansion (the full network; the width multiplier slims it).",
  }),
  head_features: key({
    kind: integer({ min: 1, most: 65_536 }),
    default: 2048,
    only: modelsWith('head_features'),
    doc: "Features before X3D's classifier.",
  }),
  depth: key({
    kind: integer({ min: 1, most: 1204 }),
    default: byModel('depth', { other: 1 }),
    only: modelsWith('depth'),
    doc: 'Layers: 50, 101 or 152 for a ResNet; 6n + 4 for a WideResNet.',
  }),
  widen_factor: key({
    kind: integer({ min: 1, most: 64 }),
    default: byModel('widen_factor', { other: 1 }),
    only: modelsWith('widen_factor'),
    doc: "WideResNet's k.",
  }),
  dropoutrate: key({
    kind: fraction,
    default: byMedia({ video: 0.5, image: 0 }),
    only: modelsWith('dropoutrate'),
    doc: 'Dropout: before the classifier (video), inside the blocks (WideResNet).',
  }),
  width_mult_range: key({
    kind: range(width),
    default: byModel('width_mult_range', { video: [0.63, 1], image: [0.9, 1] }),
    doc: 'The narrowest and the widest (full) width multiplier; above 1 for images only.',
  }),
  width_mult_list: key({
    kind: list(width),
    default: widthsOf,
    follows: 'both ends of width_mult_range; for video also .73, .83, .9 between them',
    doc: 'Widths that are logged in training and swept in testing.',
    changes: 'nothing',
  }),
}
