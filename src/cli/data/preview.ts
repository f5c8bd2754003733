/** `mn-video data preview`: a page of what the network will see in training. */

import { resolve } from 'node:path'
import type { Command } from 'commander'
import { applyOverrides, loadConfig } from '../../config/index.ts'
import { fingerprintOf, identityOfFiles } from '../../data/curation/fingerprint.ts'
import { gather, mediaOfFiles } from '../../data/curation/gather.ts'
import { type PreviewSample, previewPage } from '../../data/curation/preview.ts'
import { openTrainingLoader } from '../../data/loading/loader.ts'
import type { Dataset } from '../../data/sets/dataset.ts'
import { describePassedOver, type Media } from '../../data/sets/media.ts'
import { MnVideoError, reasonOf } from '../../errors.ts'
import { requireOtherFile, writeAtomically } from '../../files/write.ts'
import { buildNetwork } from '../../models/index.ts'
import { clipFrames } from '../../network/graph.ts'
import { collect, count, mediaOption } from '../arguments.ts'
import { doing, print } from '../progress.ts'

interface Options {
  readonly out: string
  readonly config?: string
  readonly set?: readonly string[]
  readonly samples: number
  readonly epoch: number
  readonly root?: string
  readonly media?: Media
}

export function addPreview(data: Command): void {
  data
    .command('preview')
    .description('a page of samples as the network gets them in training, with their labels')
    .argument('<list|dir>', 'a list (`path label` a line) or a folder of class folders')
    .requiredOption('--out <page>', 'the HTML file to write')
    .option('--config <config>', 'whose sizes, frames and transforms (default: x3d, for images mobilenet_v2)')
    .option('--set <key=value>', 'a configuration key to change; may be repeated', collect)
    .option('--samples <count>', 'samples to show', count, 24)
    .option('--epoch <number>', 'each epoch draws other crops and moments', count, 1)
    .option('--root <dir>', "where a list's relative paths start (default: the list's folder)")
    .addOption(mediaOption())
    .addHelpText(
      'after',
      '\nExample:\n  mn-video data preview lists/train.csv --config configs/x3d.yml --out preview.html',
    )
    .action(preview)
}

async function preview(source: string, options: Options): Promise<void> {
  await requireOtherFile(source, options.out)
  doing(`looking at ${source}`)
  const gathered = await gather(source, options)
  const { classes, root, isLabelled } = gathered
  const { media, isOf, passedOver } = await mediaOfFiles(source, gathered.files, options.media)
  const files = gathered.files.filter((file) => isOf.has(file))
  const single = files.flatMap(({ path, label }) => (typeof label === 'number' ? [{ path, label }] : []))
  if (single.length < files.length) {
    throw new MnVideoError(
      'data',
      `${source}: has several labels a file; lists with one label are previewed.`,
    )
  }
  const highest = single.reduce((most, { label }) => Math.max(most, label), 0)
  const config = applyOverrides(
    await loadConfig(options.config ?? (media === 'video' ? 'x3d' : 'mobilenet_v2')),
    [
      ...(options.set ?? []),
      `num_classes=${Math.max(classes?.length ?? 0, highest + 1, 2)}`,
      `batch_size=${Math.min(options.samples, single.length)}`,
      'drop_last=false',
      'max_bad_fraction=1',
    ],
  )
  const network = buildNetwork(config)
  if (network.media !== media) {
    throw new MnVideoError(
      'usage',
      `${source}: has ${media}s, but ${network.name} takes ${network.media}s. Give another --config.`,
    )
  }
  const dataset: Dataset = {
    media,
    size: single.length,
    origin: source,
    passedOver: [],
    label: (index) => single[index]!.label,
    name: (index) => single[index]!.path,
    source: (index) => ({ path: single[index]!.path }),
    indicesOf: (label) => single.flatMap((file, index) => (file.label === label ? [index] : [])),
    fingerprint: async () => fingerprintOf(single),
    identity: () => identityOfFiles(single),
  }
  const loader = openTrainingLoader(dataset, network, config)
  const samples: PreviewSample[] = []
  for await (const { clips, labels, samples: places } of loader.epoch(options.epoch)) {
    const bytes = clips.data.length / clips.batch
    for (let i = 0; i < clips.batch; i++) {
      doing(`decoded ${samples.length + 1} of ${Math.min(options.samples, single.length)} samples`)
      const data = clips.data.subarray(i * bytes, (i + 1) * bytes)
      const name = single[places[i]!]!.path.replace(`${root}/`, '')
      const label = isLabelled ? (classes?.[labels[i]!] ?? `class ${labels[i]}`) : ''
      samples.push({ name, label, clip: { ...clips, data, batch: 1 } })
    }
    break
  }
  const size = `${config.image_size}×${config.image_size}`
  const about =
    media === 'video'
      ? `${samples.length} clips as ${network.name} gets them in training: ${clipFrames(network)} frames of ${size}${config.flip ? ', half of them mirrored' : ''}. Up to 8 frames of each are shown.`
      : `${samples.length} images as ${network.name} gets them in training, ${size}${config.flip ? ', half of them mirrored' : ''}.`
  doing('drawing the page')
  const page = await previewPage({
    title: `What ${source} looks like in training`,
    about,
    samples,
    bad: loader.bad,
  })
  await writeAtomically(resolve(options.out), [Buffer.from(page)]).catch((error: unknown) => {
    throw new MnVideoError('data', `${options.out}: cannot be written: ${reasonOf(error)}.`)
  })
  const bad = loader.bad.size > 0 ? `, ${loader.bad.size} could not be read (named there)` : ''
  const others = describePassedOver([...gathered.passedOver, ...passedOver])
  print(`${options.out}: ${samples.length} samples${bad}. Open it in a browser.${others && `\n${others}`}`)
}
