import { expect, it } from 'vitest'
import { models } from '../../src/config/models.ts'
import { describeKeys, type KeyDescription } from '../support/describe-keys.ts'

const modelsOf = ({ models: of }: KeyDescription) => {
  if (of.length === models.length) return ''
  return ` For ${of
    .filter((model) => !/resnet1/.test(model))
    .join(', ')
    .replace('resnet50', 'resnets')}.`
}

/** Cells of a Markdown table must not have bars. */
const cell = (text: string) => text.replaceAll('|', '\\|')

function reference(): string {
  const keys = describeKeys()
  const sections = [...new Set(keys.map(({ section }) => section))].map((section) => {
    const rows = keys
      .filter((key) => key.section === section)
      .map((key) => {
        const { name, doc, expected, default: value, follows } = key
        const known = follows ? `${value} — ${follows}` : value
        return `| \`${name}\` | ${cell(known)} | ${cell(doc)} Must be ${cell(expected)}.${modelsOf(key)} |`
      })
    return `## ${section}\n\n| key | default | meaning |\n|---|---|---|\n${rows.join('\n')}\n`
  })
  return [
    '# Configuration keys',
    '',
    'A configuration is a YAML file of `key: value` lines; what it leaves out has the default given here, where a default',
    "that differs between models names them. `--set key=value` changes a key for one command. A run's `config.yml` has them all,",
    'and lists in `given` those that were given: they keep their values when `--set` changes others, the rest follows.',
    'This page is written from the program’s own table of keys: `npx vitest run test/config/reference.test.ts -u`.',
    '',
    sections.join('\n'),
  ].join('\n')
}

it('docs/configuration.md says what the keys are', async () => {
  await expect(reference()).toMatchFileSnapshot('../../docs/configuration.md')
})
