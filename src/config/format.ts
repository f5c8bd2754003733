/** Configurations and keys as text: the resolved file of a run, and the reference of all keys. */
import { type Model, models } from './models.ts'
import { parseConfig } from './parse.ts'
import { applies, entryOf, GIVEN, givenKeysOf, mostOf } from './resolve.ts'
import { type Config, type KeyName, sections } from './schema.ts'

/**
 * The configuration as YAML with every default filled in and what each key means beside it. It loads back
 * to an equal configuration that knows which keys it was given. Keys that the model has no use for are left out.
 */
export function formatConfig(config: Config): string {
  const blocks = Object.entries(sections).map(([title, section]) => {
    const names = (Object.keys(section) as KeyName[]).filter((name) => applies(name, config.model))
    const lines = names.map((name) => {
      const value = Array.isArray(config[name])
        ? `[${config[name].map((item) => scalar(name, item)).join(', ')}]`
        : scalar(name, config[name])
      return `${`${name}: ${value}`.padEnd(40)} # ${entryOf(name).doc}`
    })
    return `# ${title}\n${lines.join('\n')}\n`
  })
  const given = `${GIVEN}: [${givenKeysOf(config).join(', ')}]`
  return `${blocks.join('\n')}\n# The keys that were given; the others follow from them when --set changes one.\n${given}\n`
}

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

/** Free text in quotes, so that no path is mistaken for something else; JSON's quoting is YAML's. */
function scalar(name: KeyName, value: unknown): string {
  return entryOf(name).kind.text ? JSON.stringify(value) : String(value)
}
