/** A configuration as text: the resolved file of a run. */
import { applies, entryOf, GIVEN, givenKeysOf } from './resolve.ts'
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

/** Free text in quotes, so that no path is mistaken for something else; JSON's quoting is YAML's. */
function scalar(name: KeyName, value: unknown): string {
  return entryOf(name).kind.text ? JSON.stringify(value) : String(value)
}
