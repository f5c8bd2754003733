/** X3D at free expansion factors, as the paper and PyTorchVideo's `create_x3d` compute its channels and depths. */
import { describe, expect, it } from 'vitest'
import { X3D_VARIANTS, type X3DOptions, x3d } from '../../src/models/x3d.ts'
import { fullConfiguration, resolve } from '../../src/network/resolve.ts'

const build = (options: Partial<X3DOptions>) => x3d({ classes: 400, frames: 4, size: 160, ...options })

/** Per residual stage: blocks, inner and outer channels; and the stem's channels. */
function summary(options: Partial<X3DOptions>) {
  const network = build(options)
  const { nodes } = resolve(network, fullConfiguration(network))
  const outputs = (stage: string, suffix: string) =>
    nodes.flatMap(({ node, shape }) =>
      node.stage === stage && node.name.endsWith(suffix) ? [shape.channels] : [],
    )
  const stages = ['res2', 'res3', 'res4', 'res5']
  return {
    stem: outputs('stem', 'conv_t'),
    depths: stages.map((stage) => outputs(stage, 'conv_a').length),
    inner: stages.map((stage) => [...new Set(outputs(stage, 'conv_b'))].join()),
    outer: stages.map((stage) => [...new Set(outputs(stage, 'conv_c'))].join()),
    squeezed: stages.map((stage) => outputs(stage, 'norm_b.1.block.0').length),
  }
}

describe('X3D', () => {
  // round_width(12 · 2^stage, γ_w): each stage is rounded by itself, not the stem's count doubled.
  it.each([
    [1, [16], [16, 24, 48, 96]],
    [4 / 3, [16], [16, 32, 64, 128]],
    [1.5, [24], [24, 40, 72, 144]],
    [2, [24], [24, 48, 96, 192]],
    // X3D-XL: table 3 of the paper.
    [2.9, [32], [32, 72, 136, 280]],
  ])('of width factor %f has its channels', (widthFactor, stem, outer) => {
    const found = summary({ widthFactor })
    expect(found.stem).toEqual(stem)
    expect(found.outer).toEqual(outer.map(String))
    expect(found.inner).toEqual(outer.map((channels) => String(Math.trunc(2.25 * channels))))
  })

  it.each([
    [0.4, [1, 1, 2, 2]],
    [1, [1, 2, 5, 3]],
    [2.2, [3, 5, 11, 7]],
    [5, [5, 10, 25, 15]],
  ])('of depth factor %f has its blocks, every other one squeezed', (depthFactor, depths) => {
    const found = summary({ depthFactor })
    expect(found.depths).toEqual(depths)
    expect(found.squeezed).toEqual(depths.map((blocks) => Math.ceil(blocks / 2)))
  })

  it('takes other bottleneck and head sizes', () => {
    expect(summary({ bottleneckFactor: 3 }).inner).toEqual(['72', '144', '288', '576'])
    const network = build({ headFeatures: 256 })
    const { nodes } = resolve(network, fullConfiguration(network))
    expect(nodes.find(({ node }) => node.name === 'blocks.5.pool.post_conv')!.shape.channels).toBe(256)
    expect(nodes.find(({ node }) => node.name === network.classifier)!.inputs[0]!.channels).toBe(256)
  })

  it('squeezes to a sixteenth, in eights: 8, 8, 16, 32', () => {
    const network = build({})
    const { nodes } = resolve(network, fullConfiguration(network))
    const hidden = nodes.flatMap(({ node, shape }) =>
      node.name.endsWith('res_blocks.0.branch2.norm_b.1.block.0') ? [shape.channels] : [],
    )
    expect(hidden).toEqual([8, 8, 16, 32])
  })

  it('has the name of its variant only when it is one', () => {
    for (const [letter, variant] of Object.entries(X3D_VARIANTS)) {
      expect(x3d({ classes: 400, ...variant }).name).toBe(`X3D-${letter.toUpperCase()}`)
      expect(x3d({ classes: 400, ...variant, widthFactor: 3 }).name).toBe('X3D')
    }
    expect(build({ frames: 5 }).name).toBe('X3D')
  })
})
