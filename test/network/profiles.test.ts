/** Params and MACs of every network against the published and PyTorch-computed figures. */
import { describe, expect, it } from 'vitest'
import { resolve } from '../../src/network/resolve.ts'
import { IMAGE_NETWORKS, readReference, VIDEO_NETWORKS } from '../support/reference.ts'

interface Profiles {
  models3d: Record<string, VideoProfile>
  models2d: Record<string, ImageProfile>
}
interface VideoProfile {
  frames: number
  alpha?: number
  params: number
  views: { crop: number; macs: number; perStage: Record<string, number> }[]
  slimmed: Record<string, { params: number; macsAtCrop: Record<string, number> }>
}
interface ImageProfile {
  classes: number
  paramsFull: number
  widths: Record<
    string,
    { params: number; macs: Record<string, number>; channels: [string, number, number][] }
  >
}

const profiles = readReference<Profiles>('profiles.json')

describe.each(Object.entries(profiles.models3d))('%s', (name, profile) => {
  const network = VIDEO_NETWORKS[name]!()
  const frames = profile.frames / (profile.alpha ?? 1)

  it.each(profile.views)('costs the reference MACs, stage by stage, at crop $crop', (view) => {
    const subNetwork = resolve(network, { width: 1, frames, size: view.crop })
    expect(subNetwork.params).toBe(profile.params)
    expect(subNetwork.macs).toBe(view.macs)
    const stages = byStage(subNetwork.nodes.map(({ node, macs }) => [node.stage, macs]))
    // The reference counts the first fast block of res2 to res5 with the slow ones, so both together here.
    expect(stages).toMatchObject(byStage(Object.entries(view.perStage)))
  })

  it.each(Object.entries(profile.slimmed))('costs the reference MACs at width %s', (width, slimmed) => {
    for (const [crop, macs] of Object.entries(slimmed.macsAtCrop)) {
      const subNetwork = resolve(network, { width: Number(width), frames, size: Number(crop) })
      expect(subNetwork.params).toBe(slimmed.params)
      expect(subNetwork.macs).toBe(macs)
    }
  })
})

describe.each(Object.entries(profiles.models2d))('%s', (name, profile) => {
  const network = IMAGE_NETWORKS[name]!(profile.classes)

  it('has the reference parameters at full width', () => {
    expect(resolve(network, { width: 1, frames: 1, size: network.size }).params).toBe(profile.paramsFull)
  })

  it.each(Object.entries(profile.widths))('has the reference channels and MACs at width %s', (width, row) => {
    for (const [size, macs] of Object.entries(row.macs)) {
      const subNetwork = resolve(network, { width: Number(width), frames: 1, size: Number(size) })
      expect(subNetwork.params).toBe(row.params)
      expect(subNetwork.macs).toBe(macs)
      const layers = subNetwork.nodes
        .filter(({ node }) => ['conv', 'channelwiseConv', 'linear'].includes(node.kind))
        .map(({ node, inputs, shape }) => [node.name, inputs[0]!.channels, shape.channels])
      expect(layers).toEqual(row.channels)
    }
  })
})

/** MACs summed by stage; SlowFast's two pathways of a residual stage as one. */
function byStage(rows: readonly (readonly [stage: string, macs: number])[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const [stage, macs] of rows) {
    const key = stage.replace(/^(res\d)\.(slow|fast)$/, '$1')
    sums[key] = (sums[key] ?? 0) + macs
  }
  return sums
}
