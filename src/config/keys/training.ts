/** The keys of training and of the run's files. */
import { scaledRate, warmupOf } from '../../models/spec.ts'
import { AS_DEFAULT, key } from '../key.ts'
import { flag, integer, list, number, oneOf, text } from '../kinds.ts'
import type { EarlierValues } from '../models.ts'
import { byMedia, byModel } from '../models.ts'

/** Epochs, steps or batches: none of them is counted for longer. */
const MANY = 1_000_000
/** What weights are multiplied by builds nothing: float32 alone limits it. */
const FLOAT = 3e38
const count = integer({ min: 1, most: MANY })
const fraction = number({ min: 0, below: 1 })

export const training = {
  method: key({
    kind: oneOf('mutualnet', 'us_net', 'independent'),
    default: 'mutualnet',
    doc: 'Mutual learning, the sandwich rule at full size, or the widest network alone.',
  }),
  num_epochs: key({
    kind: count,
    default: byModel('num_epochs', { video: 196, image: 250 }),
    doc: 'Epochs.',
  }),
  batch_size: key({
    kind: integer({ min: 1, most: 65_536 }),
    default: byModel('batch_size', { video: 64, image: 1024 }),
    doc: 'Clips or images of one batch.',
  }),
  accumulate: key({
    kind: integer({ min: 1, most: 1024 }),
    default: 1,
    doc: 'Batches whose gradients are added up for one step.',
  }),
  optimizer: key({ kind: oneOf('sgd'), default: 'sgd', doc: 'The optimiser.' }),
  momentum: key({ kind: fraction, default: 0.9, doc: 'Momentum.' }),
  nesterov: key({ kind: flag, default: true, doc: "Nesterov's momentum." }),
  weight_decay: key({
    kind: number({ min: 0, most: FLOAT }),
    default: byModel('weight_decay', { other: 1e-4 }),
    doc: 'Weight decay, on the parameters of weight_decay_on.',
  }),
  weight_decay_on: key({
    kind: oneOf('dense', 'no_norms', 'all'),
    default: byMedia({
      video: 'no_norms',
      image: ({ dataset }) => (dataset.startsWith('cifar') ? 'all' : 'dense'),
    }),
    before: 'dense',
    follows: 'CIFAR: all',
    doc: 'What decays: dense conv and linear weights, all parameters but those of batch norm, or all.',
  }),
  lr: key({
    kind: number({ above: 0, most: FLOAT }),
    default: byModel('lr', { video: scaledRate(0.1, 64), image: scaledRate(0.5, 1024) }),
    follows: 'scaled with batch_size × accumulate',
    doc: 'Highest learning rate.',
  }),
  lr_scheduler: key({
    kind: oneOf('cosine', 'step', 'constant'),
    default: 'cosine',
    doc: 'The schedule, per iteration: half a cosine to 0, lr_gamma at each of lr_milestones, or none.',
  }),
  lr_milestones: key({
    kind: list(number({ above: 0, most: MANY })),
    default: (known: EarlierValues) => [0.5 * known.num_epochs, 0.75 * known.num_epochs],
    follows: '1/2 and 3/4 of num_epochs',
    doc: 'Epochs at which lr_scheduler: step lowers the rate.',
  }),
  lr_gamma: key({
    kind: number({ above: 0, max: 1 }),
    default: 0.1,
    doc: 'What the rate is multiplied by at each of lr_milestones.',
  }),
  warmup_epochs: key({
    kind: number({ min: 0, most: MANY }),
    default: byModel('warmup_epochs', { video: warmupOf(34), image: 0 }),
    follows: 'at most num_epochs / 5',
    doc: 'Epochs of linear warm-up.',
  }),
  warmup_lr: key({
    kind: number({ min: 0, most: FLOAT }),
    default: (known: EarlierValues) => Math.min(0.01, known.lr),
    follows: 'at most lr',
    doc: 'Learning rate that the warm-up starts from.',
  }),
  label_smoothing: key({ kind: fraction, default: 0, doc: "Label smoothing of the full network's loss." }),
  clip_gradient: key({
    kind: number({ min: 0, most: FLOAT }),
    default: 0,
    doc: 'Largest norm of the gradient; 0: no limit.',
  }),
  ema: key({ kind: fraction, default: 0, doc: 'Decay of the moving average of the weights; 0: none.' }),
  width_step: key({
    kind: fraction,
    default: 0.01,
    doc: 'Random widths are multiples of this, so that plans are used again; 0: any width.',
  }),
  calibration_batches: key({
    kind: count,
    default: byMedia({ video: 8, image: 9 }),
    doc: "Batches that a configuration's batch-norm statistics are estimated from.",
  }),
  zero_init_final_bn: key({
    kind: flag,
    default: byMedia({ video: true, image: false }),
    before: AS_DEFAULT,
    doc: 'Start the last batch norm of every residual block at 0; false: at 1, which short trainings learn faster from.',
  }),
  channelwise_init: key({
    kind: oneOf('fan_out', 'taps'),
    default: 'fan_out',
    before: 'taps',
    doc: 'Variance of fresh channelwise weights: fan_out 2/(taps × channels), as in PyTorch; taps 2/taps.',
  }),
  random_seed: key({
    kind: integer({ min: 0, max: 2 ** 32 - 1 }),
    default: 1995,
    doc: 'Seed of everything random.',
  }),
}

export const run = {
  log_dir: key({
    kind: text,
    default: 'runs',
    doc: 'Folder of the run folders; a run is named after its configuration file.',
  }),
  print_freq: key({
    kind: count,
    default: byMedia({ video: 10, image: 100 }),
    doc: 'Steps from one log line to the next.',
  }),
  validate_every: key({
    kind: integer({ min: 0, most: MANY }),
    default: byMedia({ video: 10, image: 5 }),
    doc: 'Epochs from one validation to the next; 0: at the end alone.',
  }),
  checkpoint_minutes: key({
    kind: number({ above: 0, most: MANY }),
    default: 30,
    doc: 'The longest time between checkpoints, which are also written after every epoch.',
  }),
  keep_checkpoints: key({
    kind: count,
    default: 3,
    doc: 'Checkpoints kept: the latest ones, and the best validated one besides.',
  }),
  pretrained: key({ kind: text, default: '', doc: 'Weights to start from.' }),
  resume: key({ kind: text, default: '', doc: 'Checkpoint to go on from.' }),
  test_only: key({
    kind: flag,
    default: false,
    doc: 'Sweep the configurations on the validation set; no training.',
  }),
}
