/** ResNet-50, -101 and -152 (He et al. 2016, stride in the 3×3) with MutualNet's slimming and names. */
import { GraphBuilder } from '../network/builder.ts'
import { fixed, ratioed } from '../network/channels.ts'
import type { Network } from '../network/graph.ts'
import { type ImageNetworkOptions, imageNetwork } from './network.ts'
import { defineModel, imageOptions, scaledRate } from './spec.ts'

export type ResNetDepth = 50 | 101 | 152

export interface ResNetOptions extends ImageNetworkOptions {
  readonly depth: ResNetDepth
}

const BLOCKS: Record<ResNetDepth, readonly number[]> = {
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
  152: [3, 8, 36, 3],
}

/** Inner channels and stem slim in steps of 2, so that they stay a quarter of the outer ones. */
const INNER_RATIO = 0.25

/**
 * ```
 * image 224×224×3 → 7×7/2 (64) → max pool 3×3/2 → bottlenecks (256, 512, 1024, 2048) → mean → classes
 * ```
 */
export function resnet(options: ResNetOptions): Network {
  const { depth, classes } = options
  const g = new GraphBuilder()
  let x = g.clip('image')
  x = g.conv('features.0.0', x, ratioed(64, INNER_RATIO), {
    kernel: [1, 7, 7],
    stride: [1, 2, 2],
    padding: 'same',
  })
  x = g.batchNorm('features.0.1', x)
  x = g.activation('features.0.2', x, 'relu')
  x = g.maxPool('features.0.3', x, { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] })
  let index = 1
  BLOCKS[depth].forEach((blocks, stage) => {
    const outer = 256 * 2 ** stage
    g.stage(`res${stage + 2}`)
    for (let block = 0; block < blocks; block++, index++) {
      x = bottleneck(g, `features.${index}`, x, outer, block === 0, block === 0 && stage > 0 ? 2 : 1)
    }
  })
  g.stage('head')
  x = g.globalPool(`features.${index}`, x)
  g.linear('classifier.0', x, fixed(classes))
  return imageNetwork(g, { name: `ResNet-${depth}`, family: 'resnet' }, options)
}

function bottleneck(
  g: GraphBuilder,
  name: string,
  input: string,
  outer: number,
  first: boolean,
  stride: number,
): string {
  const inner = ratioed(outer / 4, INNER_RATIO)
  const body = `${name}.body`
  let x = g.conv(`${body}.0`, input, inner, { kernel: [1, 1, 1] })
  x = g.batchNorm(`${body}.1`, x)
  x = g.activation(`${body}.2`, x, 'relu')
  x = g.conv(`${body}.3`, x, inner, { kernel: [1, 3, 3], stride: [1, stride, stride], padding: 'same' })
  x = g.batchNorm(`${body}.4`, x)
  x = g.activation(`${body}.5`, x, 'relu')
  x = g.conv(`${body}.6`, x, ratioed(outer), { kernel: [1, 1, 1] })
  x = g.batchNorm(`${body}.7`, x, { zeroInit: true })
  let shortcut = input
  if (first) {
    shortcut = g.conv(`${name}.shortcut.0`, input, ratioed(outer), {
      kernel: [1, 1, 1],
      stride: [1, stride, stride],
    })
    shortcut = g.batchNorm(`${name}.shortcut.1`, shortcut)
  }
  x = g.add(name, x, shortcut)
  return g.activation(`${name}.post_relu`, x, 'relu')
}

const modelOfDepth = <const N extends string>(name: N, depth: ResNetDepth) =>
  defineModel({
    name,
    family: 'resnet',
    media: 'image',
    keys: ['depth'],
    defaults: { depth, num_epochs: 120, batch_size: 512, lr: scaledRate(0.2, 512) },
    conflict({ depth: given }) {
      if (![50, 101, 152].includes(given))
        return { key: 'depth', text: `must be 50, 101 or 152 for a ResNet, not ${given}.` }
      if (given === depth) return undefined
      return {
        key: 'depth',
        text: `${given} contradicts model ${name}. Leave depth out, or give model: resnet${given}.`,
      }
    },
    build: (values) => resnet({ ...imageOptions(values), depth }),
  })

export const resnet50Model = modelOfDepth('resnet50', 50)
export const resnet101Model = modelOfDepth('resnet101', 101)
export const resnet152Model = modelOfDepth('resnet152', 152)
