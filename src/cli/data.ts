/** `mn-video data`: everything about data sets before training. One file per command in `data/`. */
import type { Command } from 'commander'
import { addCheck } from './data/check.ts'
import { addMakeMotion } from './data/make-motion.ts'
import { addPrepare } from './data/prepare.ts'
import { addPreview } from './data/preview.ts'
import { addResize } from './data/resize.ts'
import { addSplit } from './data/split.ts'
import { addStats } from './data/stats.ts'

export function addData(program: Command): void {
  const data = program
    .command('data')
    .description('prepare, check, resize, split and look at data sets')
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video data prepare ucf101\n  mn-video data check lists/train.csv --write-clean lists/clean.csv',
    )
  addPrepare(data)
  addCheck(data)
  addResize(data)
  addSplit(data)
  addStats(data)
  addPreview(data)
  addMakeMotion(data)
}
