/**
 * From the values that were given to a complete configuration: checks each value, fills in the defaults,
 * refuses what makes no sense. Where the values came from is the caller's business.
 */

import { MnVideoError } from '../errors.ts'
import { conflicts } from './checks.ts'
import type { Key } from './key.ts'
import { isResnet, type Known, type Model, normaliseModel } from './models.ts'
import { suggestion } from './nearest.ts'
import { type Problem, show, throwProblems } from './problems.ts'
import { type Config, ignoredKeys, type KeyName, keys } from './schema.ts'

/** The values of a configuration as they were written, by key. */
export type Given = ReadonlyMap<string, unknown>

/** Where the value of a key (or an entry of its list) was written. */
export type Where = (key: string, entry?: number) => Omit<Problem, 'text'>

export const keyNames = Object.keys(keys) as KeyName[]
const allNames = [...keyNames, ...Object.keys(ignoredKeys)].sort()

/** The schema entry of a key, without its type. */
export function entryOf(name: KeyName): Key<unknown> {
  return keys[name] as Key<unknown>
}

/** A complete configuration, or an error that names up to three problems. */
export function resolveConfig(given: Given, where: Where): Config {
  const problems: Problem[] = []
  const values = new Map<KeyName, unknown>()
  for (const [name, raw] of given) {
    if (Object.hasOwn(ignoredKeys, name)) continue
    if (!Object.hasOwn(keys, name)) {
      problems.push({
        ...where(name),
        text: `unknown key ${show(name)}. ${suggestion(name, allNames, 'key')}`,
      })
      continue
    }
    const known = name as KeyName
    const value = known === 'model' ? normaliseModel(raw, given.get('depth')) : raw
    const checked = entryOf(known).kind.schema.safeParse(value)
    if (checked.success) values.set(known, checked.data)
    else {
      const entry = checked.error.issues[0]?.path[0]
      const place = typeof entry === 'number' ? where(name, entry) : where(name)
      problems.push({ ...place, text: mismatch(known, raw) })
    }
  }
  throwProblems(problems)
  if (!values.has('model')) {
    const text = `model is missing. It must be ${keys.model.kind.expected}.`
    throwProblems([{ ...where('model'), text }])
  }

  const config = complete(values)
  for (const name of values.keys()) {
    const text = inapplicable(name, config)
    if (text !== undefined) problems.push({ ...where(name), text })
  }
  if (problems.length === 0) {
    for (const { key, text } of conflicts(config)) problems.push({ ...where(key), text })
  }
  throwProblems(problems)
  return deepFreeze(config)
}

/**
 * Refuses what is not a complete configuration, in calls that plain JavaScript may make.
 *
 * @throws MnVideoError `usage`
 */
export function checkConfig(config: Config, call: string): void {
  const isWhole = typeof config === 'object' && config !== null && keyNames.every((name) => name in config)
  if (isWhole) return
  throw new MnVideoError(
    'usage',
    `${call} takes a configuration as loadConfig gives it, not ${show(config)}.`,
  )
}

/**
 * The values of a configuration that are not what they would be by default: the shortest recipe for it.
 * A value that happens to equal its default counts as the default.
 */
export function differences(config: Config): Map<string, unknown> {
  const given = new Map<string, unknown>([['model', config.model]])
  for (const name of keyNames) {
    if (!same(config[name], defaultOf(name, config))) given.set(name, config[name])
  }
  return given
}

/** Whether a key means something for a model. */
export function applies(name: KeyName, model: Model): boolean {
  return entryOf(name).only?.includes(model) ?? true
}

/** The default of a key where the keys before it have the values of a configuration. */
export function defaultOf(name: KeyName, config: Config): unknown {
  const value = entryOf(name).default
  return typeof value === 'function' ? value(config satisfies Known) : value
}

/** Fills in the defaults, in the order of the table: a default sees the keys before its own. */
function complete(values: ReadonlyMap<KeyName, unknown>): Config {
  const config: Partial<Record<KeyName, unknown>> = {}
  for (const name of keyNames) {
    config[name] = values.has(name) ? values.get(name) : defaultOf(name, config as Config)
  }
  return config as Config
}

function mismatch(name: KeyName, raw: unknown): string {
  const { expected, choices } = entryOf(name).kind
  const help =
    choices && choices.length > 1 && typeof raw === 'string' ? ` ${suggestion(raw, choices, name)}` : ''
  return `${name} must be ${expected}, not ${show(raw)}.${help}`
}

/** A key that the model has no use for is a mistake, even when it says what is so anyway. */
function inapplicable(name: KeyName, { model }: Config): string | undefined {
  if (applies(name, model)) return undefined
  const only = entryOf(name).only!.filter((other) => !isResnet(other) || other === 'resnet50')
  return `${name} means nothing for model ${model}; it is for ${only.join(', ').replace('resnet50', 'resnets')}. Remove it.`
}

function same(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((value, i) => value === b[i])
  return a === b
}

/** The type is read-only; so is the object, down to its lists. */
function deepFreeze(config: Config): Config {
  for (const value of Object.values(config)) Object.freeze(value)
  return Object.freeze(config)
}
