/**
 * Caffe2's blob names in the `.pkl` files of PySlowFast's model zoo (Slow and SlowFast ResNets): each is
 * rewritten to PySlowFast's name of the same tensor. The fast pathway's begin with `t_`. Non-local blocks
 * have no counterpart here.
 */
import { pySlowFastMapping } from './pyslowfast.ts'
import { type NameScheme, WITH_INTERPOLATE } from './scheme.ts'

/** Scale, shift, running mean and running variance of a batch norm. */
const NORM: Readonly<Record<string, string>> = {
  s: 'weight',
  b: 'bias',
  rm: 'running_mean',
  riv: 'running_var',
}
const PLAIN: Readonly<Record<string, string>> = { w: 'weight', b: 'bias' }

/** Blobs that are no weights: the optimiser's, and counters. */
const BOOKKEEPING = /_momentum$|^(?:lr|model_iter|weight_order|cfg|epoch)$/

/** The last part of a name is the tensor: `_bn_rm`, `_w`. */
const TENSOR = /^(.+?)(?:_bn_(s|b|rm|riv)|_(w|b))$/

/** Layers without their tensor, and PySlowFast's layer; the batch norm of `conv1` has a name of its own. */
const LAYERS: readonly (readonly [RegExp, (...parts: string[]) => string])[] = [
  [/^(t_)?(?:res_)?conv1$/, (t) => `s1.pathway${path(t)}_stem.conv`],
  [/^(t_)?res(\d)_(\d+)_branch1$/, (t, s, r) => `s${s}.pathway${path(t)}_res${r}.branch1`],
  [/^(t_)?res(\d)_(\d+)_branch2([abc])$/, (t, s, r, l) => `s${s}.pathway${path(t)}_res${r}.branch2.${l}`],
  [/^t_pool1_subsample$/, () => 's1_fuse.conv_f2s'],
  [/^t_res(\d)_\d+_branch2c_bn_subsample$/, (s) => `s${s}_fuse.conv_f2s`],
  [/^pred$/, () => 'head.projection'],
]

export const caffe2: NameScheme = {
  title: "Caffe2 (PySlowFast's model zoo)",
  describes: 'Slow and SlowFast',
  preprocessing: WITH_INTERPOLATE,
  recognises: (names) => names.has('conv1_w') && names.has('res2_0_branch2a_w'),
  mapping(network) {
    const mapping = pySlowFastMapping(network)
    return (
      mapping && {
        ...mapping,
        isBookkeeping: (name) => BOOKKEEPING.test(name),
        translate(name) {
          const renamed = toPySlowFast(name)
          return renamed === undefined ? undefined : mapping.translate(renamed)
        },
      }
    )
  },
}

/** `t_res2_0_branch2a_bn_rm` → `s2.pathway1_res0.branch2.a_bn.running_mean`. */
function toPySlowFast(name: string): string | undefined {
  const [, blob, norm, plain] = TENSOR.exec(name) ?? []
  for (const [form, layerOf] of LAYERS) {
    const parts = blob === undefined ? null : form.exec(blob)
    if (!parts) continue
    const layer = layerOf(...parts.slice(1))
    return norm === undefined ? `${layer}.${PLAIN[plain!]}` : `${normOf(layer)}.${NORM[norm]}`
  }
  return undefined
}

/** The batch norm after a convolution. */
const normOf = (layer: string): string =>
  layer.replace(/\.conv(?:_f2s)?$/, '.bn').replace(/(\.branch1|\.[abc])$/, '$1_bn')

const path = (t: string | undefined): number => (t === undefined ? 0 : 1)
