/** `mn-video data make-motion`: renders a small data set whose classes only motion tells, to try training with. */
import { type Command, InvalidArgumentError } from 'commander'
import { type MotionOptions, makeMotion } from '../../data/motion/make-motion.ts'
import { count } from '../arguments.ts'
import { print, startProgress } from '../progress.ts'
import { shellQuoted } from '../report.ts'

export function addMakeMotion(data: Command): void {
  data
    .command('make-motion')
    .description('render a data set of eight kinds of motion, to try training with')
    .requiredOption('--out <dir>', 'where it goes: train/CLASS/FILE, val/CLASS/FILE, lists and classes.txt')
    .option('--clips <count>', 'clips to train on (default: 640)', count)
    .option('--validation <count>', 'clips to validate on (default: a quarter of them)', count)
    .option('--size <WxH>', 'pixels, even (default: 96x72)', size)
    .option('--frames <count>', 'frames of a clip, at 30 a second (default: 30)', count)
    .option('--seed <number>', 'what everything random follows from (default: 1)', count)
    .addHelpText('after', '\nExample:\n  mn-video data make-motion --out data/motion')
    .action(async (options: MotionOptions) => {
      let progress: ReturnType<typeof startProgress> | undefined
      const made = await makeMotion({
        ...options,
        onProgress: (_, total) => {
          progress ??= startProgress('painted', total)
          progress.step()
        },
      })
      print(
        [
          `${options.out}: ${made.training} training and ${made.validation} validation clips of ${made.classes.length} classes`,
          `Next: mn-video data preview ${shellQuoted(`${options.out}/train.csv`)} --out preview.html`,
        ].join('\n'),
      )
    })
}

function size(text: string): { width: number; height: number } {
  const match = /^(\d+)x(\d+)$/.exec(text)
  if (match) return { width: Number(match[1]), height: Number(match[2]) }
  throw new InvalidArgumentError('Give WIDTHxHEIGHT, such as 96x72.')
}
