/** The lists of class names that come with the program, under `configs/labels`. */
import { fileURLToPath } from 'node:url'

const packaged = ['kinetics400', 'imagenet1k'] as const

/** Whether a configuration's `labels` is the name of such a list, not a file. */
export const isPackagedLabels = (labels: string): boolean => (packaged as readonly string[]).includes(labels)

/** The file of a configuration's `labels`. */
export const labelFile = (labels: string): string =>
  isPackagedLabels(labels)
    ? fileURLToPath(new URL(`../../configs/labels/${labels}.txt`, import.meta.url))
    : labels
