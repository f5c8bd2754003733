/**
 * PySlowFast's X3D normalises the shortcut of the first block of its first stage; PyTorchVideo's, and ours,
 * does not. With running statistics that batch norm is a scale and a shift of each channel: the scale goes
 * into the convolution before it, the shift into the batch norm that the residual branch ends with, to whose
 * result it is added. The network computes the same.
 */
import type { Network } from '../../network/graph.ts'

/** Values by our names, in PyTorch's layouts; changed in place. */
type Values = Map<string, Float32Array>

/**
 * Folds what needs folding.
 *
 * @returns our names of the batch norms that are gone
 */
export function foldShortcutNorms(network: Network, values: Values): string[] {
  const nodes = new Map(network.nodes.map((node) => [node.name, node]))
  const folded: string[] = []
  for (const name of [...values.keys()]) {
    const norm = /^(.+\.branch1_norm)\.weight$/.exec(name)?.[1]
    if (norm === undefined || nodes.has(norm)) continue
    const block = norm.slice(0, -'.branch1_norm'.length)
    const parts = ['weight', 'bias', 'running_mean', 'running_var'].map((part) =>
      values.get(`${norm}.${part}`),
    )
    const filter = values.get(`${block}.branch1_conv.weight`)
    const shift = values.get(`${block}.branch2.norm_c.bias`)
    const last = nodes.get(`${block}.branch2.norm_c`)
    const [scale, bias, mean, variance] = parts
    if (!scale || !bias || !mean || !variance || !filter || !shift || last?.kind !== 'batchNorm') continue
    if (new Set([...parts, shift].map((part) => part!.length)).size !== 1) continue
    const perChannel = filter.length / scale.length
    values.set(
      `${block}.branch1_conv.weight`,
      filter.map((value, i) => {
        const channel = Math.floor(i / perChannel)
        return (value * scale[channel]!) / Math.sqrt(variance[channel]! + last.epsilon)
      }),
    )
    values.set(
      `${block}.branch2.norm_c.bias`,
      shift.map(
        (value, c) => value + bias[c]! - (scale[c]! * mean[c]!) / Math.sqrt(variance[c]! + last.epsilon),
      ),
    )
    for (const part of ['weight', 'bias', 'running_mean', 'running_var']) values.delete(`${norm}.${part}`)
    folded.push(norm)
  }
  return folded
}
