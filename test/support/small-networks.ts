/** Every architecture at a size that runs in well under a second, for tests that go over all of them. */
import { mobilenetV1 } from '../../src/models/mobilenet-v1.ts'
import { mobilenetV2 } from '../../src/models/mobilenet-v2.ts'
import { resnet } from '../../src/models/resnet.ts'
import { wideResnet } from '../../src/models/wide-resnet.ts'
import type { Configuration, Network } from '../../src/network/graph.ts'
import { reducedSlow, reducedSlowfast, reducedX3d } from './reduced-networks.ts'

export interface SmallNetwork {
  readonly title: string
  readonly network: () => Network
  /** Three widths, with frame counts and sizes that divide unevenly, and one above the training size. */
  readonly configurations: readonly Configuration[]
}

const classes = 7
const images = (size: number, widths: readonly number[]): Configuration[] =>
  widths.map((width, i) => ({ width, frames: 1, size: size - 5 * i }))

export const SMALL_NETWORKS: readonly SmallNetwork[] = [
  {
    title: 'X3D',
    network: () => reducedX3d(classes),
    configurations: [
      { width: 1, frames: 4, size: 64 },
      { width: 0.75, frames: 3, size: 50 },
      { width: 0.63, frames: 2, size: 96 },
    ],
  },
  {
    title: 'Slow',
    network: () => reducedSlow(classes),
    configurations: [
      { width: 1, frames: 2, size: 32 },
      { width: 0.75, frames: 2, size: 40 },
      { width: 0.63, frames: 1, size: 64 },
    ],
  },
  {
    title: 'SlowFast',
    network: () => reducedSlowfast(classes),
    // Narrower frames and sizes make the fast features resample in time, height and width.
    configurations: [
      { width: 1, frames: 2, size: 64 },
      { width: 0.75, frames: 1, size: 48 },
      { width: 0.63, frames: 2, size: 40 },
    ],
  },
  {
    title: 'MobileNet v1',
    network: () => mobilenetV1({ classes, size: 40 }),
    configurations: images(40, [1, 0.6, 0.25]),
  },
  {
    title: 'MobileNet v2',
    network: () => mobilenetV2({ classes, size: 40 }),
    configurations: images(40, [1, 0.85, 0.7]),
  },
  {
    title: 'ResNet-50',
    network: () => resnet({ classes, size: 40, depth: 50 }),
    configurations: images(40, [1, 0.95, 0.9]),
  },
  {
    title: 'WideResNet',
    network: () => wideResnet({ classes, size: 32, depth: 10, widenFactor: 2 }),
    configurations: images(32, [1, 0.95, 0.9]),
  },
]
