/** The work that benchmarks time: networks at the configurations of the project's targets. */
import { mobilenetV1 } from '../../src/models/mobilenet-v1.ts'
import { mobilenetV2 } from '../../src/models/mobilenet-v2.ts'
import { slow } from '../../src/models/slow.ts'
import { slowfast } from '../../src/models/slowfast.ts'
import { X3D_VARIANTS, x3d } from '../../src/models/x3d.ts'
import type { Configuration, Network } from '../../src/network/graph.ts'

export interface Work {
  readonly name: string
  readonly network: () => Network
  readonly configuration: Configuration
  /** How many times faster than ONNX Runtime it should be. */
  readonly bar: number
}

const x3dM = () => x3d({ classes: 400, ...X3D_VARIANTS.m })

export const WORK: readonly Work[] = [
  { name: 'x3d-m 1 16×224²', network: x3dM, configuration: { width: 1, frames: 16, size: 224 }, bar: 3 },
  { name: 'x3d-m .63 6×144²', network: x3dM, configuration: { width: 0.63, frames: 6, size: 144 }, bar: 4 },
  {
    name: 'slow-r50 8×224²',
    network: () => slow({ classes: 400, frames: 8, size: 224 }),
    configuration: { width: 1, frames: 8, size: 224 },
    bar: 1.3,
  },
  {
    name: 'slowfast-r50 4×16 224²',
    network: () => slowfast({ classes: 400, frames: 4, size: 224, alpha: 8 }),
    configuration: { width: 1, frames: 4, size: 224 },
    bar: 1.4,
  },
  {
    name: 'mobilenet-v1 224²',
    network: () => mobilenetV1({ classes: 1000, size: 224 }),
    configuration: { width: 1, frames: 1, size: 224 },
    bar: 1,
  },
  {
    name: 'mobilenet-v2 224²',
    network: () => mobilenetV2({ classes: 1000, size: 224 }),
    configuration: { width: 1, frames: 1, size: 224 },
    bar: 1,
  },
]
