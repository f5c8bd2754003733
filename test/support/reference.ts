/**
 * The golden numbers under test/reference (computed with PyTorch in double precision; origin and formulas in
 * its README) and the networks that they were computed for.
 */
import { readFileSync } from 'node:fs'
import { mobilenetV1 } from '../../src/models/mobilenet-v1.ts'
import { mobilenetV2 } from '../../src/models/mobilenet-v2.ts'
import { resnet } from '../../src/models/resnet.ts'
import { slow } from '../../src/models/slow.ts'
import { slowfast } from '../../src/models/slowfast.ts'
import { wideResnet } from '../../src/models/wide-resnet.ts'
import { X3D_VARIANTS, x3d } from '../../src/models/x3d.ts'
import type { Network } from '../../src/network/graph.ts'

export function readReference<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../reference/${name}`, import.meta.url), 'utf8')) as T
}

/** The video networks of the profiles, by their name there, at the training size. */
export const VIDEO_NETWORKS: Readonly<Record<string, () => Network>> = {
  'X3D-XS': () => x3d({ classes: 400, ...X3D_VARIANTS.xs }),
  'X3D-S': () => x3d({ classes: 400, ...X3D_VARIANTS.s }),
  'X3D-M': () => x3d({ classes: 400, ...X3D_VARIANTS.m }),
  'X3D-L': () => x3d({ classes: 400, ...X3D_VARIANTS.l }),
  'Slow-R50-4x16': () => slow({ classes: 400, frames: 4, size: 224 }),
  'Slow-R50-8x8': () => slow({ classes: 400, frames: 8, size: 224 }),
  'SlowFast-R50-4x16': () => slowfast({ classes: 400, frames: 4, size: 224, alpha: 8 }),
  'SlowFast-R50-8x8': () => slowfast({ classes: 400, frames: 8, size: 224, alpha: 4 }),
}

/** The image networks of the profiles, by their name there. */
export const IMAGE_NETWORKS: Readonly<Record<string, (classes: number) => Network>> = {
  mobilenet_v1: (classes) => mobilenetV1({ classes, size: 224 }),
  mobilenet_v2: (classes) => mobilenetV2({ classes, size: 224 }),
  resnet50: (classes) => resnet({ classes, size: 224, depth: 50 }),
  wrn28_10_cifar10: (classes) => wideResnet({ classes, size: 32, depth: 28, widenFactor: 10 }),
  wrn28_10_cifar100: (classes) => wideResnet({ classes, size: 32, depth: 28, widenFactor: 10 }),
}
