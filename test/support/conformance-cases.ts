/** Small networks, each about one operation at awkward sizes, with weights and inputs: what every engine is judged by. */
import type { Inputs } from '../../src/frames/batch.ts'
import { GraphBuilder } from '../../src/network/builder.ts'
import { fixed, slimmable } from '../../src/network/channels.ts'
import type { Network, Triple } from '../../src/network/graph.ts'
import { createRandom, type Random } from '../../src/network/random.ts'
import { isKind, resolve, type SubNetwork } from '../../src/network/resolve.ts'
import { type BatchNormStatistics, ParameterStore, parametersOf } from '../../src/network/store.ts'

export interface ConformanceCase {
  readonly title: string
  readonly subNetwork: SubNetwork
  readonly batch: number
  /** The parameters whose gradients are checked, where all of them would take too long. */
  readonly checked?: readonly string[]
}

/** What a case is of: channels of its operation, frames and side of its clip. */
export interface Sizes {
  readonly channels: number
  readonly frames: number
  readonly size: number
  readonly batch?: number
  readonly width?: number
}

export const CLASSES = 5

/** input → 1×1×1 convolution, batch norm → the operation → mean → classifier. */
function around(
  title: string,
  sizes: Sizes,
  operation: (g: GraphBuilder, x: string) => string,
): ConformanceCase {
  const { channels, frames, size, batch = 2, width = 1 } = sizes
  const g = new GraphBuilder()
  let x = g.clip('clip')
  x = g.conv('first', x, slimmable(channels), { kernel: [1, 1, 1] })
  x = g.batchNorm('first.norm', x)
  x = operation(g, x)
  return finish(title, g, x, { channels, frames, size, batch, width })
}

function finish(title: string, g: GraphBuilder, x: string, sizes: Required<Sizes>): ConformanceCase {
  const { channels, frames, size, batch, width } = sizes
  const pooled = g.globalPool('mean', x)
  const classifier = g.linear('classifier', pooled, fixed(CLASSES))
  const network: Network = {
    ...{ name: title, family: 'none', media: 'video', maxWidth: 1, classes: CLASSES, frames, size },
    ...{ nodes: g.nodes, classifier, output: g.globalPool('output', classifier) },
  }
  const at = `${channels} channels${width === 1 ? '' : ` at ${width}`}, ${batch} × ${frames}×${size}²`
  return { title: `${title}, ${at}`, batch, subNetwork: resolve(network, { width, frames, size }) }
}

function window(kernel: Triple, stride: Triple = [1, 1, 1]) {
  return { kernel, stride, padding: 'same' as const }
}

const SIZES: readonly Sizes[] = [
  { channels: 7, frames: 3, size: 9, batch: 2 },
  { channels: 24, frames: 1, size: 14, batch: 1 },
  { channels: 38, frames: 3, size: 7, batch: 1 },
  { channels: 33, frames: 2, size: 5, batch: 5, width: 0.63 },
  { channels: 1, frames: 1, size: 1, batch: 3 },
  { channels: 16, frames: 5, size: 1, batch: 4 },
]

/** Enough channels and positions for convolutions with fewer multiplications, in tiles that do not come out even. */
const WIDE_SIZES: readonly Sizes[] = [
  { channels: 40, frames: 3, size: 7, batch: 2 },
  { channels: 66, frames: 4, size: 7, batch: 2, width: 0.63 },
  { channels: 40, frames: 2, size: 9, batch: 1 },
  { channels: 96, frames: 1, size: 5, batch: 1 },
]

const KERNELS: readonly [Triple, Triple?][] = [
  [[1, 1, 1]],
  [
    [1, 1, 1],
    [1, 2, 2],
  ],
  [[3, 1, 1]],
  [
    [5, 1, 1],
    [4, 1, 1],
  ],
  [[7, 1, 1]],
  [[1, 3, 3]],
  [
    [1, 3, 3],
    [1, 2, 2],
  ],
  [[3, 3, 3]],
  [
    [3, 3, 3],
    [1, 2, 2],
  ],
  [
    [3, 3, 3],
    [2, 2, 2],
  ],
  [
    [1, 5, 5],
    [1, 1, 1],
  ],
  [
    [1, 5, 3],
    [1, 3, 2],
  ],
]

/** Cases too wide for slow engines. What Winograd's filtering takes of them it takes in one block. */
export function wideCases(): ConformanceCase[] {
  const cases = WIDE_SIZES.flatMap((sizes) =>
    [window([1, 3, 3]), window([3, 1, 1])].map((each) =>
      around(`wide conv ${each.kernel.join('×')}`, sizes, (g, x) => {
        const y = g.conv('conv', x, slimmable(sizes.channels + 6), each, { bias: true })
        return g.activation('act', y, 'swish')
      }),
    ),
  )
  const residual = around('wide residual', WIDE_SIZES[0]!, (g, x) => {
    const y = g.batchNorm('norm', g.conv('conv', x, slimmable(40), window([1, 3, 3])))
    return g.activation('out', g.add('sum', x, y), 'relu')
  })
  return [...cases, residual]
}

/** Convolutions that Winograd's filtering cuts into blocks where it has three threads, each in ways of its own. */
export function blockedCases(): ConformanceCase[] {
  const one = (kernel: Triple, sizes: Sizes, outChannels: number): ConformanceCase => ({
    ...around(`blocked conv ${kernel.join('×')} to ${outChannels}`, sizes, (g, x) =>
      g.conv('conv', x, fixed(outChannels), window(kernel), { bias: true }),
    ),
    checked: ['first.weight', 'conv.weight'],
  })
  return [
    // More than 128 input and output channels, whose panels are shared out.
    one([1, 3, 3], { channels: 130, frames: 2, size: 7, batch: 2 }, 170),
    // 128 tiles, halved for the gradient of the weights beside two blocks of their channels.
    one([1, 3, 3], { channels: 24, frames: 4, size: 6, batch: 8 }, 130),
    // Products of more than 384 input channels.
    one([3, 1, 1], { channels: 393, frames: 7, size: 5, batch: 2 }, 21),
  ]
}

/** Every operation at each of some sizes, awkward ones by default. */
export function conformanceCases(of: readonly Sizes[] = SIZES): ConformanceCase[] {
  const cases: ConformanceCase[] = []
  for (const sizes of of) {
    const odd = slimmable(sizes.channels + 6)
    for (const [kernel, stride] of KERNELS) {
      const name = `${kernel.join('×')}${stride ? ` stride ${stride.join('×')}` : ''}`
      cases.push(
        around(`conv ${name}`, sizes, (g, x) => {
          const y = g.conv('conv', x, odd, window(kernel, stride), { bias: true })
          return g.activation('act', y, 'swish')
        }),
        around(`channelwise ${name}`, sizes, (g, x) => {
          const y = g.channelwiseConv('channelwise', x, window(kernel, stride))
          return g.activation('act', g.batchNorm('norm', y), 'swish')
        }),
      )
    }
    cases.push(
      around('residual', sizes, (g, x) => {
        const inner = g.activation(
          'act',
          g.batchNorm('norm', g.conv('a', x, odd, window([1, 3, 3]))),
          'relu6',
        )
        const y = g.batchNorm('norm b', g.conv('b', inner, slimmable(sizes.channels), window([1, 1, 1])))
        return g.activation('out', g.add('sum', x, y), 'relu')
      }),
      around('squeeze and excite', sizes, (g, x) => {
        const y = g.batchNorm('norm', g.channelwiseConv('channelwise', x, window([3, 3, 3])))
        let gate = g.globalPool('squeeze', y)
        gate = g.conv('reduce', gate, slimmable(8), window([1, 1, 1]), { bias: true })
        gate = g.activation('relu', gate, 'relu')
        gate = g.conv('expand', gate, slimmable(sizes.channels), window([1, 1, 1]), { bias: true })
        gate = g.activation('sigmoid', gate, 'sigmoid')
        const gated = g.activation('swish', g.gate('gate', y, gate), 'swish')
        return g.conv('project', gated, odd, window([1, 1, 1]))
      }),
      around('concat', sizes, (g, x) => {
        const lateral = g.activation('act', g.conv('lateral', x, fixed(5), window([3, 1, 1])), 'relu')
        return g.conv('mix', g.concat('both', [x, lateral]), odd, window([1, 1, 1]))
      }),
      around('pre-activation', sizes, (g, x) => {
        const y = g.conv('conv', g.activation('act', x, 'relu'), slimmable(sizes.channels), window([1, 3, 3]))
        return g.activation('last', g.batchNorm('norm', g.add('sum', x, y)), 'relu')
      }),
      around('max pool', sizes, (g, x) => g.maxPool('pool', x, window([1, 3, 3], [1, 2, 2]))),
      around('resample', sizes, (g, x) => {
        const small = g.maxPool('small', x, { ...window([1, 3, 3], [1, 2, 2]), padding: [0, 1, 1] })
        const y = g.resample('resample', g.conv('conv', x, odd, window([1, 1, 1])), small)
        return g.concat('both', [small, y])
      }),
      around('windowed mean', sizes, (g, x) => g.globalPool('window', x, { window: 2 })),
    )
    const g = new GraphBuilder()
    let x = g.clip('clip')
    x = g.conv('stem', x, slimmable(sizes.channels), window([5, 7, 7], [1, 2, 2]))
    x = g.activation('act', g.batchNorm('norm', x), 'relu')
    cases.push(finish('stem', g, x, { batch: 2, width: 1, ...sizes }))
  }
  return cases
}

/** Weights and inputs that no rounding of the case's own can hide behind. */
export function materials({ subNetwork, batch }: ConformanceCase) {
  const { network, nodes } = subNetwork
  const random = createRandom(11)
  const values = new Map(
    parametersOf(network).map(({ name, role, shape }) => {
      const count = shape.reduce((product, axis) => product * axis, 1)
      const spread = role === 'scale' || shape.length === 1 ? 0.3 : Math.sqrt(2 / (count / shape.at(-1)!))
      return [name, normals(random, count, spread, role === 'scale' ? 1 : 0)] as const
    }),
  )
  const inputs: Inputs = Object.fromEntries(
    nodes.flatMap((resolved) => {
      if (!isKind(resolved, 'input')) return []
      const { frames, height, width } = resolved.shape
      const data = normals(random, batch * frames * height * width * 3, 1, 0)
      return [[resolved.node.name, { data, batch, frames, height, width }]]
    }),
  )
  const statistics: BatchNormStatistics = new Map(
    nodes
      .filter(({ node }) => node.kind === 'batchNorm')
      .map(({ node, shape }) => [
        node.name,
        {
          mean: normals(random, shape.channels, 0.3, 0),
          variance: normals(random, shape.channels, 0.2, 1).map(Math.abs),
        },
      ]),
  )
  return { weights: new ParameterStore(network, values), inputs, statistics }
}

function normals(random: Random, count: number, spread: number, mean: number): Float32Array {
  return new Float32Array(count).map(() => mean + spread * random.normal())
}
