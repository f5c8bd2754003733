/** Configuration text: YAML to values with their lines, and `key=value` overrides. No files are read here. */
import { dirname, resolve } from 'node:path'
import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLParseError,
  type YAMLWarning,
} from 'yaml'
import { MnVideoError } from '../errors.ts'
import { isPackagedLabels } from './labels.ts'
import { isResnet, models, normaliseModel } from './models.ts'
import { type Problem, show, throwProblems } from './problems.ts'
import { applies, entryOf, GIVEN, givenValues, keyNames, resolveConfig, type Where } from './resolve.ts'
import type { Config, KeyName } from './schema.ts'

/**
 * The configuration that a YAML text describes; `name` is the file's name in messages, and `labels` and the
 * lists are taken relative to its folder.
 */
export function parseConfig(text: string, name: string): Config {
  const at = (line: number) => (line === 0 ? name : `${name}:${line}`)
  const { given, lineOf } = readYaml(text, at)
  locateFiles(given, dirname(name))
  const listed = given.get(GIVEN)
  given.delete(GIVEN)
  const where: Where = (key, entry) => {
    const line = lineOf(key, entry)
    return { at: at(line), line }
  }
  return resolveConfig(given, where, listed)
}

/**
 * A configuration with some values replaced, each given as `key=value` with the value as in YAML; of two
 * for the same key the later one counts. Keys that were not given follow the new ones: `frames=8` takes `frames_list`
 * along, `model=slow` everything that differs between models. A key that was given keeps its value, also where that
 * is the default; another model leaves behind those that mean nothing for it.
 */
export function applyOverrides(config: Config, overrides: readonly string[]): Config {
  const given = new Map<string, unknown>()
  const origin = new Map<string, string>()
  for (const override of overrides) {
    const equals = override.indexOf('=')
    const key = override.slice(0, Math.max(0, equals)).trim()
    if (key === '' || /[\r\n]/.test(override)) {
      throw new MnVideoError(
        'config',
        `--set ${show(override)}: expected key=value on one line, such as frames=8.`,
      )
    }
    const at = `--set ${override.length > 100 ? `${override.slice(0, 99)}…` : override}`
    origin.set(key, at)
    given.set(key, overrideValue(key, override.slice(equals + 1).trim(), at))
  }
  locateFiles(given, '.')
  const all = [...origin.values()].join(' ')
  return resolveConfig(new Map([...keptValues(config, given), ...given]), (key) => ({
    at: origin.get(key) ?? all,
    line: 0,
  }))
}

/** What a configuration was given, without what another model has no use for. */
function keptValues(config: Config, given: ReadonlyMap<string, unknown>): Map<string, unknown> {
  const kept = givenValues(config)
  const model = normaliseModel(given.get('model'), given.get('depth'))
  const other = models.find((each) => each === model)
  if (other === undefined || other === config.model) return kept
  for (const name of keyNames) if (!applies(name, other)) kept.delete(name)
  // The depth of a ResNet is a part of its name.
  if (isResnet(config.model)) kept.delete('depth')
  return kept
}

function overrideValue(key: string, value: string, at: string): unknown {
  const known = (keyNames as string[]).includes(key) ? entryOf(key as KeyName) : undefined
  if (known?.kind.text) return value
  // A mapping of its own, so that the value is read by the same rules as in a file.
  return readYaml(`value: ${value}`, () => at).given.get('value')
}

/** The keys that name files beside the configuration. */
const located: readonly KeyName[] = ['labels', 'train_list', 'val_list', 'list_root']

/**
 * Absolute paths, so that the resolved configuration can be kept in another folder; packaged labels by name.
 * The data set's folder is taken from the working directory, as MutualNet does.
 */
function locateFiles(given: Map<string, unknown>, folder: string): void {
  const locate = (key: KeyName, from: string) => {
    const path = given.get(key)
    if (typeof path !== 'string' || path === '' || (key === 'labels' && isPackagedLabels(path))) return
    given.set(key, resolve(from, path))
  }
  for (const key of located) locate(key, folder)
  locate('dataset_dir', '.')
}

/** The top-level mapping of a YAML text, and the line of each key or of an entry of its list (0: not there). */
function readYaml(text: string, at: (line: number) => string) {
  const lines = new LineCounter()
  // Duplicate keys are found below: the parser's own search takes quadratic time.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false })
  const line = (node: unknown) => (isNode(node) && node.range ? lines.linePos(node.range[0]).line : 0)
  const problem = (where: number, what: string): Problem => ({ at: at(where), line: where, text: what })

  // Only the first: those after it are mostly its consequences.
  const wrong = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0])[0]
  if (wrong) throwProblems([problem(lines.linePos(wrong.pos[0]).line, `not valid YAML: ${reason(wrong)}.`)])
  if (document.contents === null) {
    throwProblems([problem(0, 'the configuration is empty. Give at least a model, such as model: x3d.')])
  }
  visit(document, {
    Node(_, node) {
      if (!isAlias(node) && node.anchor === undefined) return
      const text = 'anchors (&) and aliases (*) are not used in configurations. Write the value out.'
      throwProblems([problem(line(node), text)])
    },
  })
  if (!isMap<Node>(document.contents)) {
    throwProblems([problem(line(document.contents), 'the configuration must be "key: value" lines.')])
  }

  const problems: Problem[] = []
  const given = new Map<string, unknown>()
  const nodes = new Map<string, { readonly key: Node; readonly value: unknown }>()
  for (const pair of isMap<Node>(document.contents) ? document.contents.items : []) {
    const key = isScalar(pair.key) ? String(pair.key.value ?? '') : ''
    const first = nodes.get(key)
    if (key === '') problems.push(problem(line(pair.key), 'a key must be a plain name, such as model.'))
    else if (first) {
      const text = `key ${show(key)} is already given in line ${line(first.key)}. Remove one of them.`
      problems.push(problem(line(pair.key), text))
    } else {
      nodes.set(key, pair)
      given.set(key, isNode(pair.value) ? pair.value.toJS(document) : null)
    }
  }
  throwProblems(problems)

  const lineOf = (key: string, entry?: number): number => {
    const node = nodes.get(key)
    const item = entry !== undefined && isSeq(node?.value) ? line(node.value.items[entry]) : 0
    return item > 0 ? item : line(node?.key)
  }
  return { given, lineOf }
}

/** The parser's words, or ours where its own speak to programmers. */
function reason({ code, message }: YAMLParseError | YAMLWarning): string {
  if (code === 'RESOURCE_EXHAUSTION') return 'it is nested too deeply'
  if (code === 'MULTIPLE_DOCS') return 'a second document starts here; a file has one configuration'
  return show(message.slice(0, 120), 140).slice(1, -1)
}
