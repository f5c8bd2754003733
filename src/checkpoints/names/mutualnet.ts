/**
 * MutualNet's names of MobileNet v1 and v2, ResNet and WideResNet, which are ours. Its batch norm keeps
 * statistics of several widths, as `NODE.bn.INDEX.running_mean`, and may have none of its own. A ResNet's also
 * name the slow pathway of a video network, as torchvision's do.
 */
import type { Network } from '../../network/graph.ts'
import { isCounter, type Mapping, type NameScheme, WITH_PIL } from './scheme.ts'
import { resnetMapping } from './torchvision.ts'

const PLACE = /^features\.(\d+)\.(body|shortcut)\.(\d+)\./

export const mutualNet: NameScheme = {
  title: 'MutualNet',
  describes: 'MobileNet v1 and v2, ResNets and WideResNets',
  preprocessing: WITH_PIL,
  recognises: (names) =>
    [...names].some((name) => name.startsWith('features.1.body.') || name.startsWith('block1.layer.0.')),
  mapping(network, names) {
    const { family } = network
    if (family === 'slow' || family === 'slowfast') return inflation(network, names)
    if (network.media === 'video') return undefined
    const nodes = new Set(network.nodes.map(({ name }) => name))
    return {
      inflates: false,
      isBookkeeping: isCounter,
      translate(name) {
        const [, layer] = /^(.+?)(?:\.bn\.\d+)?\.(?:weight|bias|running_mean|running_var)$/.exec(name) ?? []
        return layer !== undefined && nodes.has(layer) ? name : undefined
      },
    }
  },
}

/**
 * What the running statistics of a batch norm are called before their last part: MutualNet keeps those of slimmable
 * channels in `NODE.bn.INDEX`, one for each width of its list, and those of fixed ones as PyTorch does. Video networks
 * are PyTorchVideo's, where all are.
 */
export function statisticsPrefix(network: Network): (node: string) => string {
  const nodes = new Map(network.nodes.map((node) => [node.name, node]))
  const slims = (name: string): boolean => {
    const node = nodes.get(name)!
    if (node.kind === 'input') return false
    if (node.kind === 'conv' || node.kind === 'linear') return node.out.slim !== 'fixed'
    return slims('input' in node ? node.input : node.inputs[0]!)
  }
  return (node) => (network.media === 'image' && slims(node) ? `${node}.bn.0` : node)
}

/** By way of torchvision's names: a stage begins at each block with a shortcut. */
function inflation(network: Network, names: ReadonlySet<string>): Mapping | undefined {
  const indices = new Set<number>()
  const starts = new Set<number>()
  for (const name of names) {
    const [, index, part] = PLACE.exec(name) ?? []
    if (index !== undefined) indices.add(Number(index))
    if (part === 'shortcut') starts.add(Number(index))
  }
  const firsts = [...starts].sort((a, b) => a - b)
  if (firsts.length !== 4) return undefined
  const ends = [...firsts.slice(1), Math.max(...indices) + 1]
  const mapping = resnetMapping(
    network,
    firsts.map((first, stage) => ends[stage]! - first),
  )
  return (
    mapping && {
      ...mapping,
      translate(name) {
        const stem = /^features\.0\.([01])\.(.+)$/.exec(name)
        if (stem) return mapping.translate(`${stem[1] === '0' ? 'conv1' : 'bn1'}.${stem[2]}`)
        if (name.startsWith('classifier.0.')) return mapping.translate(name.replace('classifier.0', 'fc'))
        const [all, index, part, layer] = PLACE.exec(name) ?? []
        const stage = firsts.findLastIndex((first) => first <= Number(index))
        if (all === undefined || stage < 0) return undefined
        const at = Number(layer)
        const ours =
          part === 'shortcut'
            ? `downsample.${at}`
            : `${at % 3 === 0 ? 'conv' : 'bn'}${Math.floor(at / 3) + 1}`
        return mapping.translate(
          `layer${stage + 1}.${Number(index) - firsts[stage]!}.${ours}.${name.slice(all.length)}`,
        )
      },
    }
  )
}
