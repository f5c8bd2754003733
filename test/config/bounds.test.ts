/** Every number of a configuration has bounds, and what they allow can be built. */
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/index.ts'
import { largestOf } from '../../src/config/kinds.ts'
import { models } from '../../src/config/models.ts'
import { applies, entryOf, keyNames } from '../../src/config/resolve.ts'
import type { KeyName } from '../../src/config/schema.ts'
import { buildNetwork } from '../../src/models/index.ts'
import { initialise } from '../../src/network/initialise.ts'
import { fullConfiguration, resolve } from '../../src/network/resolve.ts'
import { configurationsOf } from '../../src/runs/query-table.ts'

const numeric = keyNames.filter((name) => entryOf(name).kind.bounds)
/** Numbers of whose size nothing is built. */
const harmless: readonly KeyName[] = ['random_seed', 'lr', 'warmup_lr', 'weight_decay', 'clip_gradient']

/** The value, in the form that the key has: alone, twice for a range, three times for a colour, in a list. */
const forms = (value: number) => [value, [value], [value, value], [value, value, value]]

const accepts = (name: KeyName, value: unknown) => entryOf(name).kind.schema.safeParse(value).success

describe('a number of a configuration', () => {
  it('is known as one wherever it stands', () => {
    const some = [1, 0.5, 2, 64].flatMap(forms)
    const taking = keyNames.filter((name) => some.some((value) => accepts(name, value)))
    expect(numeric).toEqual(taking)
    expect(numeric.length).toBeGreaterThan(40)
  })

  it.each(numeric)('%s is refused when it is out of all proportion or none', (name) => {
    const never = [1e308, -1, -1e308, Number.NaN, Number.POSITIVE_INFINITY]
    const wild = [...never, ...(harmless.includes(name) ? [] : [1e9, 1e15, 2 ** 53])]
    expect(wild.flatMap(forms).filter((value) => accepts(name, value))).toEqual([])
  })

  const largest = numeric.flatMap((name) =>
    models.filter((model) => applies(name, model)).map((model) => [name, model] as const),
  )
  it.each(largest)('%s at its largest can be built, for %s', (name, model) => {
    const { bounds } = entryOf(name).kind
    const value = bounds && 'below' in bounds ? bounds.below * 0.999 : largestOf(bounds!)
    // Sizes that others must not be smaller than go with them.
    const shape = forms(value).find((form) => accepts(name, form))!
    const text = `model: ${model}\n${name}: ${JSON.stringify(shape)}\n`
    const network = (() => {
      try {
        return buildNetwork(parseConfig(text, 'largest.yml'))
      } catch (error) {
        expect(error).toMatchObject({ name: 'MnVideoError' })
        return undefined
      }
    })()
    if (network) expect(resolve(network, fullConfiguration(network)).params).toBeGreaterThan(0)
  })

  it('may ask for more weights than there is memory, and is told', () => {
    const config = parseConfig('model: wideresnet\ndepth: 1204\nwiden_factor: 64\n', 'large.yml')
    expect(() => initialise(buildNetwork(config), 1)).toThrow(/would have \d+ parameters/)
  })
})

describe('a message', () => {
  it('names what is the most where a value is above it', () => {
    const refusal = (text: string) => () => parseConfig(text, 'a.yml')
    expect(refusal('model: x3d\ndepth_factor: 1e9')).toThrow(
      'depth_factor must be a number above 0 (at most 50), not 1000000000.',
    )
    expect(refusal('model: x3d\nframes_list: [4, 1e9]')).toThrow('(at most 1024)')
    expect(refusal('model: x3d\ndepth_factor: -1')).toThrow('depth_factor must be a number above 0, not -1.')
  })
})

describe('configurations', () => {
  it('are counted before they are made', () => {
    const many = Array.from({ length: 1000 }, (_, i) => i + 1)
    expect(() => configurationsOf({ widths: many, frames: many, sizes: many })).toThrow(
      '1000 widths × 1000 frame counts × 1000 sizes are 1000000000 configurations',
    )
  })
})
