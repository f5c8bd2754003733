/** What was taken of a file of weights: told by `import`, told and logged by `train`. */
import type { Network } from '../../network/graph.ts'
import type { WeightsFile } from '../weights-file.ts'
import type { Imported, ImportReport } from './import-weights.ts'

export interface Taken extends Omit<ImportReport, 'matched'> {
  readonly file: string
  readonly format: string
  /** Where in the file they lay. */
  readonly container: string
  /** How many tensors the file has. */
  readonly tensors: number
  /** What they were read as, and its classes. */
  readonly network: string
  readonly classes: number
  /** How many of its tensors were found. */
  readonly matched: number
}

const isStatistic = (name: string): boolean => /\.running_(?:mean|var)$/.test(name)

/** @param options.statistics whether batch norm's count: training makes its own */
export function takenOf(
  path: string,
  { format, container, tensors }: WeightsFile,
  network: Network,
  { report }: Imported,
  { statistics }: { readonly statistics: boolean },
): Taken {
  const counted = (names: readonly string[]) => names.filter((name) => statistics || !isStatistic(name))
  return {
    file: path,
    format,
    container,
    tensors: tensors.size,
    network: network.name,
    classes: network.classes,
    ...report,
    matched: counted(report.matched).length,
    missing: counted(report.missing),
  }
}
