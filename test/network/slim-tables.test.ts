/** The channels that every layer of the video networks uses at every width. */
import { describe, expect, it } from 'vitest'
import { resolve } from '../../src/network/resolve.ts'
import { readReference, VIDEO_NETWORKS } from '../support/reference.ts'

interface SlimTables {
  models: Record<string, Table>
}
interface Table {
  size: number
  layers: [weight: string, op: string, fullIn: number, fullOut: number][]
  widths: Record<
    string,
    {
      macs: number
      params: number
      channels: [number, number][]
      split: Record<string, [number, number][]>
    }
  >
}

const tables = readReference<SlimTables>('slim-tables.json')

describe.each(Object.entries(tables.models))('%s', (name, table) => {
  const network = VIDEO_NETWORKS[name]!()

  it.each(Object.entries(table.widths))(
    'slims every layer as the reference does at width %s',
    (width, row) => {
      const subNetwork = resolve(network, { width: Number(width), frames: network.frames, size: table.size })
      expect(subNetwork.macs).toBe(row.macs)
      expect(subNetwork.params).toBe(row.params)
      const weights = subNetwork.nodes.flatMap(({ node, parameters, inputs, shape }) =>
        parameters
          .filter((parameter) => ['conv', 'channelwise', 'linear'].includes(parameter.role))
          .map((parameter) => ({ node, parameter, channels: [inputs[0]!.channels, shape.channels] })),
      )
      expect(weights.map(({ parameter }) => parameter.name)).toEqual(table.layers.map(([weight]) => weight))
      expect(weights.map(({ channels }) => channels)).toEqual(row.channels)
      weights.forEach(({ parameter }, index) => {
        const [, , fullIn, fullOut] = table.layers[index]!
        const full = parameter.fullShape
        expect(full.at(-1)).toBe(fullOut)
        if (parameter.role !== 'channelwise') expect(full.at(-2)).toBe(fullIn)
      })
      const split = Object.fromEntries(
        weights
          .filter(({ parameter }) => (parameter.in?.length ?? 0) > 1)
          .map(({ parameter }) => [parameter.name, parameter.in!.map((s) => [s.start, s.start + s.count])]),
      )
      expect(split).toEqual(row.split)
    },
  )
})
