/**
 * From the values that were given to a complete configuration: checks each value, fills in the defaults,
 * refuses what makes no sense. Where the values came from is the caller's business.
 */
import { MnVideoError } from '../errors.ts'
import { suggestion } from '../suggestion.ts'
import { conflicts } from './checks.ts'
import { AS_DEFAULT, type Key } from './key.ts'
import { type EarlierValues, isResnet, type Model, normaliseModel } from './models.ts'
import { type Problem, show, throwProblems } from './problems.ts'
import { type Config, changesOf, ignoredKeys, type KeyName, keys } from './schema.ts'

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

/**
 * A complete configuration, or an error that names up to three problems.
 *
 * @param listed the `given` of a run's file
 */
export function resolveConfig(given: Given, where: Where, listed?: unknown): Config {
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

  addPast(values)
  const config = complete(values)
  remember(config, values, listed)
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
 * What a run's `config.yml`, which has every key, says besides: the keys that were given to the run. The others follow
 * from them when `--set` changes one.
 */
export const GIVEN = 'given'

/** Which keys a file or `--set` named: a fact of parsing that no value tells. */
const givenKeys = new WeakMap<Config, readonly KeyName[]>()

function remember(config: Config, values: ReadonlyMap<KeyName, unknown>, listed: unknown): void {
  // Runs of earlier versions have every key and no list; then what is not its default was given.
  const isWhole = keyNames.every(
    (name) => values.has(name) || !applies(name, config.model) || entryOf(name).before === AS_DEFAULT,
  )
  const named = Array.isArray(listed) ? new Set<unknown>(listed) : isWhole ? new Set<unknown>() : undefined
  // A line that was edited in the file of a run counts, whatever that run was given.
  const isGiven = (name: KeyName) =>
    named === undefined || named.has(name) || !same(config[name], defaultOf(name, config))
  givenKeys.set(
    config,
    keyNames.filter((name) => name === 'model' || (values.has(name) && isGiven(name))),
  )
}

/** The keys that a configuration was given, in the order of the table; of one that was not parsed, all that it has. */
export const givenKeysOf = (config: Config): readonly KeyName[] =>
  givenKeys.get(config) ?? keyNames.filter((name) => applies(name, config.model))

/** The values that a configuration was given: what its defaults followed from. */
export const givenValues = (config: Config): Map<string, unknown> =>
  new Map(givenKeysOf(config).map((name) => [name, config[name]]))

/**
 * The values that a measurement depends on: those that may change what is evaluated, or (`calibration`) these and
 * those that may change the batches of calibration. Values that are the default are left out, so that a key that is
 * added later changes nothing for those who do not set it.
 */
export function valuesBehind(what: 'evaluation' | 'calibration', config: Config): Record<string, unknown> {
  const counts = what === 'evaluation' ? ['evaluation'] : ['evaluation', 'calibration']
  return Object.fromEntries(
    keyNames
      .filter((name) => counts.includes(changesOf(name)) && !same(config[name], defaultOf(name, config)))
      .map((name) => [name, config[name]]),
  )
}

/** Whether a key means something for a model. */
export function applies(name: KeyName, model: Model): boolean {
  return entryOf(name).only?.includes(model) ?? true
}

/** The default of a key where the keys before it have the values of a configuration. */
export function defaultOf(name: KeyName, config: Config): unknown {
  const value = entryOf(name).default
  return typeof value === 'function' ? value(config satisfies EarlierValues) : value
}

/** Fills in the defaults, in the order of the table: a default sees the keys before its own. */
function complete(values: ReadonlyMap<KeyName, unknown>): Config {
  const config: Partial<Record<KeyName, unknown>> = {}
  for (const name of keyNames) {
    config[name] = values.has(name) ? values.get(name) : defaultOf(name, config as Config)
  }
  return config as Config
}

/** Adds what a run did that was written before some of the keys existed (`Key.before`) to the values of its file. */
function addPast(values: Map<KeyName, unknown>): void {
  const model = values.get('model') as Model
  const absent = keyNames.filter((name) => !values.has(name) && applies(name, model))
  if (absent.some((name) => entryOf(name).before === undefined)) return
  for (const name of absent) {
    const { before } = entryOf(name)
    if (before !== AS_DEFAULT) values.set(name, before)
  }
}

function mismatch(name: KeyName, raw: unknown): string {
  const { expected, choices } = entryOf(name).kind
  const help =
    choices && choices.length > 1 && typeof raw === 'string' ? ` ${suggestion(raw, choices, name)}` : ''
  return `${name} must be ${expected}${isTooLarge(name, raw) ? ` (at most ${mostOf(name)})` : ''}, not ${show(raw)}.${help}`
}

/** The number that a key's values are out of all proportion above; undefined for keys that have none. */
export function mostOf(name: KeyName): number | undefined {
  const { bounds } = entryOf(name).kind
  return bounds && 'most' in bounds ? bounds.most : undefined
}

const isTooLarge = (name: KeyName, raw: unknown): boolean =>
  [raw].flat().some((value) => Number.isFinite(value) && Number(value) > (mostOf(name) ?? Number.NaN))

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
