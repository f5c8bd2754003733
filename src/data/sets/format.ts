/** What a data set is to the program, and what a form of it on disk is. */
import type { Config } from '../../config/index.ts'
import type { FrameBatch } from '../../frames/batch.ts'
import type { Fingerprint } from '../curation/fingerprint.ts'
import type { PassedOver } from './media.ts'

export type Split = 'train' | 'val'

export interface Dataset {
  readonly media: 'video' | 'image'
  /** Samples, at least one. */
  readonly size: number
  /** Names in label order, where known. */
  readonly classes?: readonly string[]
  /** The folder or list that it was read from. */
  readonly origin: string
  /** Files of its folder that are no samples. */
  readonly passedOver: readonly PassedOver[]
  /** Of a sample with several labels the first; -1 of one with none. */
  label(index: number): number
  /** All labels of a sample, where samples have any number of them; absent where each has one. */
  labels?(index: number): readonly number[]
  /** For messages: a path, or `test_batch.bin, image 17`. */
  name(index: number): string
  /** A file, or an image in memory. */
  source(index: number): { readonly path: string } | FrameBatch
  /** All samples of a label, ascending. */
  indicesOf(label: number): readonly number[]
  /** Tells these samples from others, wherever they lie. No file is opened but the one that a check left beside a list. */
  fingerprint(): Promise<Fingerprint>
  /** Tells these samples in this order from others and from what they were, by the state of every file. */
  identity(): Promise<string>
}

/** A split of a data set's folder. */
export interface Place {
  readonly folder: string
  readonly split: Split
}

/** A form in which a data set lies in its folder. `dataset.ts` has the table of them. */
export interface DatasetFormat {
  /** Whether the folder has the split in this form. */
  holds(config: Config, place: Place): Promise<boolean>
  /** @throws MnVideoError 'data' naming the folder or file and the way out */
  open(config: Config, place: Place): Promise<Dataset>
  /** The names of its classes in label order, where it says. */
  classNames(folder: string): Promise<readonly string[] | undefined>
}
