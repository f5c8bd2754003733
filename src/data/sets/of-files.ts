import { type Config, isVideo } from '../../config/index.ts'
import { MnVideoError } from '../../errors.ts'
import { fingerprintOfList, identityOfFiles, type LabelledFile } from '../curation/fingerprint.ts'
import type { Dataset } from './format.ts'

/** The data set that some files are. */
export function datasetOf(
  entries: readonly LabelledFile[],
  facts: Pick<Dataset, 'media' | 'origin' | 'passedOver' | 'classes'>,
): Dataset {
  // Two flat lists: a million objects would take twice the memory.
  const paths = entries.map(({ path }) => path)
  const labels = Int32Array.from(entries, ({ label }) => [label].flat()[0] ?? -1)
  const sets = entries.some(({ label }) => typeof label !== 'number')
    ? entries.map(({ label }) => [label].flat())
    : undefined
  const files = () => paths.map((path, index) => ({ path, label: sets?.[index] ?? labels[index]! }))
  return {
    ...facts,
    size: paths.length,
    label: (index) => labels[index]!,
    ...(sets && { labels: (index: number) => sets[index]! }),
    name: (index) => paths[index]!,
    source: (index) => ({ path: paths[index]! }),
    indicesOf: byLabel(labels),
    fingerprint: () => fingerprintOfList(facts.origin, files()),
    identity: () => identityOfFiles(files()),
  }
}

/** Samples by label, gathered when first asked for. */
export function byLabel(labels: Int32Array): (label: number) => readonly number[] {
  let indices: Map<number, number[]> | undefined
  return (label) => {
    if (!indices) {
      indices = new Map()
      for (const [index, each] of labels.entries()) {
        const known = indices.get(each)
        if (known) known.push(index)
        else indices.set(each, [index])
      }
    }
    return indices.get(label) ?? []
  }
}

/** @throws MnVideoError 'data' where data have other classes than the configuration */
export function requireClasses(config: Config, found: number, where: string): void {
  if (found === config.num_classes) return
  throw new MnVideoError(
    'data',
    `${where}: has ${found} classes, but num_classes is ${config.num_classes}. Give num_classes: ${found}, or another data set.`,
  )
}

/** What a configuration's network takes. */
export const mediaOf = (config: Config): Dataset['media'] => (isVideo(config.model) ? 'video' : 'image')
