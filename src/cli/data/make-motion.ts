/** `mn-video data make-motion`: renders a small data set whose classes only motion tells, to try training with. */
import { type Command, InvalidArgumentError } from 'commander'
import { makeFilms } from '../../data/motion/make-films.ts'
import { type MotionOptions, makeMotion } from '../../data/motion/make-motion.ts'
import { MnVideoError } from '../../errors.ts'
import { count } from '../arguments.ts'
import { print, startProgress, startSeconds } from '../progress.ts'
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
    .option('--films <count>', 'films of many spans each, in place of clips: films/ and films.json', count)
    .option('--minutes <count>', 'of each film (default: 10)', count)
    .option('--seed <number>', 'what everything random follows from (default: 1)', count)
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video data make-motion --out data/motion\n  mn-video data make-motion --out data/motion --films 3',
    )
    .action(async ({ films, minutes, ...options }: Options) => {
      if (films !== undefined) return renderFilms(options, films, minutes)
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

interface Options extends MotionOptions {
  readonly films?: number
  readonly minutes?: number
}

async function renderFilms(
  { out, size, seed, clips, validation, frames }: MotionOptions,
  films: number,
  minutes: number | undefined,
): Promise<void> {
  if (clips !== undefined || validation !== undefined || frames !== undefined)
    throw new MnVideoError('usage', 'give --films, or --clips, --validation and --frames: not both.')
  const progress = startSeconds('painting')
  const made = await makeFilms({
    out,
    films,
    ...(minutes !== undefined && { minutes }),
    ...(size && { size }),
    ...(seed !== undefined && { seed }),
    onProgress: progress,
  })
  print(
    [
      `${out}: ${made.films} film${made.films === 1 ? '' : 's'} of ${made.seconds} s with ${made.spans} spans`,
      `Next: mn-video spans ${shellQuoted(`${out}/films/0001.mp4`)} --model RUN, or mn-video test RUN --spans ${shellQuoted(`${out}/films.json`)}`,
    ].join('\n'),
  )
}

function size(text: string): { width: number; height: number } {
  const match = /^(\d+)x(\d+)$/.exec(text)
  if (match) return { width: Number(match[1]), height: Number(match[2]) }
  throw new InvalidArgumentError('Give WIDTHxHEIGHT, such as 96x72.')
}
