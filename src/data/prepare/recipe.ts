/**
 * What preparing a data set is: from the folder that its owner's download unpacks to, with the owner's annotations,
 * to lists that training reads. One module per data set says where to get it, what must lie where, and how its
 * annotations read; everything they share is here and in `files.ts`. Nothing is downloaded.
 */
import type { Fingerprint, LabelledFile } from '../curation/fingerprint.ts'

/** A data set that can be prepared. */
export interface Recipe {
  /** As the command names it. */
  readonly name: string
  readonly title: string
  /** Where its owner tells how to get it. */
  readonly page: string
  /** The files and folders that are expected, as a tree. */
  readonly layout: string
  /** What one should know before starting, in a sentence or two. */
  readonly note?: string
  /**
   * Reads the annotations and finds the files.
   *
   * @throws MnVideoError 'data' naming what is missing or cannot be read
   */
  readonly prepare: (folder: string, options: PrepareOptions) => Promise<Prepared>
}

export interface PrepareOptions {
  /** Where the annotations are, if not in the folder of the data set. */
  readonly annotations?: string
}

export interface Prepared {
  /** Names in label order. */
  readonly classes: readonly string[]
  /** Official ways to split it; most have one, with an empty name. */
  readonly splits: readonly PreparedSplit[]
  readonly findings: readonly Finding[]
  /** Files to write beside the lists (CIFAR has pixels, not files). */
  readonly extra?: ReadonlyMap<string, Uint8Array>
  /** Of splits that have no list. */
  readonly fingerprints?: Readonly<Record<string, Fingerprint>>
}

export interface PreparedSplit {
  /** The folder for its lists; '' where there is only one. */
  readonly name: string
  /** `train`, `val` or `test` to files. */
  readonly lists: Readonly<Record<string, readonly LabelledFile[]>>
}

/** Something that annotations and files disagree about. */
export interface Finding {
  /** missing: annotated, not there. extra: there, not annotated. repeated: one of two is taken. ignored: left out. */
  readonly kind: 'missing' | 'extra' | 'repeated' | 'ignored'
  /** A file, or a name in the annotations. */
  readonly what: string
  readonly why: string
}
