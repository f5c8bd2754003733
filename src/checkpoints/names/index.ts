/** The table of naming schemes, and which of them a file's names are. */
import { MnVideoError } from '../../errors.ts'
import type { Network } from '../../network/graph.ts'
import { parametersOf } from '../../network/store.ts'
import { quote } from '../safetensors-header.ts'
import { caffe2 } from './caffe2.ts'
import { mutualNet } from './mutualnet.ts'
import { pySlowFast } from './pyslowfast.ts'
import { isCounter, type Mapping, type NameScheme, WITH_INTERPOLATE } from './scheme.ts'
import { torchvisionMobilenetV2, torchvisionResnet } from './torchvision.ts'
import { unwrap } from './wrappers.ts'

/** PyTorchVideo's names are ours. */
const pyTorchVideo: NameScheme = {
  title: 'PyTorchVideo',
  describes: 'X3D, Slow and SlowFast',
  preprocessing: WITH_INTERPOLATE,
  recognises: (names) => [...names].some((name) => /^blocks\.0\.(?:conv|multipathway_blocks)\./.test(name)),
  mapping: (network) =>
    network.media === 'video'
      ? { inflates: false, isBookkeeping: isCounter, translate: (name) => name }
      : undefined,
}

export const NAME_SCHEMES: readonly NameScheme[] = [
  pySlowFast,
  pyTorchVideo,
  mutualNet,
  torchvisionResnet,
  torchvisionMobilenetV2,
  caffe2,
]

/** A network whose layers are called as its reference calls them needs no scheme. */
const ownNames = (network: Network): NameScheme => ({
  title: `${network.name} itself`,
  describes: network.name,
  preprocessing: { media: network.media, scaling: 'antialiased' },
  recognises: (names) => parametersOf(network).every(({ name }) => names.has(name)),
  mapping: () => ({ inflates: false, isBookkeeping: isCounter, translate: (name) => name }),
})

/**
 * The scheme of a file's names and how it maps onto a network, whatever wraps them.
 *
 * @param file for messages
 * @throws MnVideoError `weights` when no scheme knows the names, or the one that does has no such network
 */
export function detectScheme(
  names: ReadonlySet<string>,
  network: Network,
  file: string,
): { readonly scheme: NameScheme; readonly mapping: Mapping; readonly wrapper: string } {
  const schemes = [...NAME_SCHEMES, ownNames(network)]
  const schemeOf = (inner: ReadonlySet<string>) => schemes.find((candidate) => candidate.recognises(inner))
  const unwrapped = unwrap(names, (inner) => schemeOf(inner) !== undefined)
  const scheme = unwrapped && schemeOf(unwrapped.names)
  if (!scheme) {
    const some = [...names].slice(0, 3).map(quote).join(', ')
    const known = NAME_SCHEMES.map(({ title }) => title).join(', ')
    throw new MnVideoError(
      'weights',
      `${file}: its names (${some}, …) are of no scheme that is known. Known: ${known};\nprefixes of wrappers (module., model., _orig_mod., …) are dropped. Save the state dict of one of their networks.`,
    )
  }
  const mapping = scheme.mapping(network, unwrapped.names)
  if (mapping) {
    const { wrapper, inner } = unwrapped
    const translate = (name: string) => mapping.translate(inner(name))
    const isBookkeeping = (name: string) => isCounter(name) || mapping.isBookkeeping(inner(name))
    return { scheme, wrapper, mapping: { ...mapping, translate, isBookkeeping } }
  }
  throw new MnVideoError(
    'weights',
    `${file}: its names are those of ${scheme.title} (${scheme.describes}), but the configuration is ${network.name}.\n` +
      'Give --config the configuration of the network that it was trained as.',
  )
}
