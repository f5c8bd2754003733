/**
 * What wrappers put around a network's names: DataParallel and AveragedModel `module.`, Lightning `model.` or whatever
 * its module is called, torch.compile `_orig_mod.`, FSDP and activation checkpointing segments in the middle too, and
 * any of them inside another.
 */

/** Segments that wrappers add wherever they wrap, also in the middle of a name. */
const SEGMENTS = /(?<=^|\.)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\./g

/** A wrapper's prefix has at most so many segments, and at least this share of the names begin with it. */
const MAX_DEPTH = 6
const LEAST_SHARE = 0.1

export interface Unwrapped {
  /** What the names began with: `model.module.`; empty where nothing is around them. */
  readonly wrapper: string
  /** All names without what is around them; names outside the wrapper stay as they are. */
  readonly names: ReadonlySet<string>
  inner(name: string): string
}

/** The names without what is around them; undefined where no prefix leaves names that are known. */
export function unwrap(
  names: ReadonlySet<string>,
  areKnown: (names: ReadonlySet<string>) => boolean,
): Unwrapped | undefined {
  const bare = new Map([...names].map((name) => [name, name.replace(SEGMENTS, '')]))
  for (const prefix of ['', ...prefixesOf([...bare.values()])]) {
    const inner = (name: string) => {
      const found = bare.get(name) ?? name
      return found.startsWith(prefix) ? found.slice(prefix.length) : name
    }
    const inside = new Set([...names].filter((name) => bare.get(name)!.startsWith(prefix)).map(inner))
    if (!areKnown(inside)) continue
    const whole = [...names].find((name) => inside.has(inner(name)) && name.endsWith(inner(name))) ?? ''
    return { wrapper: whole.slice(0, whole.length - inner(whole).length) || prefix, names: inside, inner }
  }
  return undefined
}

/** What enough names begin with to be a wrapper, the commonest first; of equally common ones the shortest. */
function prefixesOf(names: readonly string[]): string[] {
  const counts = new Map<string, number>()
  for (const name of names) {
    let end = name.indexOf('.')
    for (let depth = 0; end >= 0 && depth < MAX_DEPTH; depth++) {
      const prefix = name.slice(0, end + 1)
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1)
      end = name.indexOf('.', end + 1)
    }
  }
  return [...counts]
    .filter(([, count]) => count >= LEAST_SHARE * names.length)
    .sort(([a, m], [b, n]) => n - m || a.length - b.length)
    .map(([prefix]) => prefix)
}
