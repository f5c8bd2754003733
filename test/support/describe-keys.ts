/** Every configuration key as its reference shows it. */
import { type Model, models } from '../../src/config/models.ts'
import { parseConfig } from '../../src/config/parse.ts'
import { applies, entryOf, mostOf } from '../../src/config/resolve.ts'
import { type KeyName, sections } from '../../src/config/schema.ts'

/** One key as the reference shows it. */
export interface KeyDescription {
  readonly name: KeyName
  readonly section: string
  readonly doc: string
  /** What a value must be, as in error messages. */
  readonly expected: string
  /** The default; where it differs between models, each model's. */
  readonly default: string
  /** How the default follows from other keys. */
  readonly follows: string
  /** The models that the key is for. */
  readonly models: readonly Model[]
}

/** Every key, for documentation that cannot go stale. */
export function describeKeys(): KeyDescription[] {
  const plain = new Map(models.map((model) => [model, parseConfig(`model: ${model}`, model)]))
  return Object.entries(sections).flatMap(([section, entries]) =>
    (Object.keys(entries) as KeyName[]).map((name) => {
      const { doc, kind, follows } = entryOf(name)
      const of = models.filter((model) => applies(name, model))
      return {
        name,
        section,
        doc,
        expected: mostOf(name) === undefined ? kind.expected : `${kind.expected} (at most ${mostOf(name)})`,
        default: name === 'model' ? '' : defaultText(of.map((model) => [model, plain.get(model)![name]])),
        follows: follows ?? '',
        models: of,
      }
    }),
  )
}

/** `0.9`, or `16 (x3d), 8 (slow)` where models differ. */
function defaultText(defaults: readonly (readonly [Model, unknown])[]): string {
  const byValue = new Map<string, Model[]>()
  for (const [model, value] of defaults) {
    const text = JSON.stringify(value).replaceAll(',', ', ')
    byValue.set(text, [...(byValue.get(text) ?? []), model])
  }
  if (byValue.size === 1) return [...byValue.keys()].join('')
  return [...byValue].map(([text, of]) => `${text} (${of.join(', ')})`).join('; ')
}
