/** The learning rate at every step, as a pure function of how far training has come. */
import type { Config } from '../config/index.ts'

/** What of a configuration the schedule reads. */
export type Schedule = Pick<
  Config,
  'lr' | 'lr_scheduler' | 'lr_milestones' | 'lr_gamma' | 'warmup_epochs' | 'warmup_lr' | 'num_epochs'
>

/**
 * The learning rate after some epochs, whole and parts of them: half a cosine from `lr` to 0 (Loshchilov and
 * Hutter 2017, without restarts), steps, or constant; for the first `warmup_epochs` a line from `warmup_lr` to
 * where the schedule is by then (as PySlowFast warms up).
 *
 * @param epoch 0 to `num_epochs`
 */
export function learningRate(schedule: Schedule, epoch: number): number {
  const { warmup_epochs: warmup, warmup_lr: start } = schedule
  if (epoch >= warmup) return scheduled(schedule, epoch)
  return start + (scheduled(schedule, warmup) - start) * (epoch / warmup)
}

function scheduled(schedule: Schedule, epoch: number): number {
  const { lr, num_epochs: epochs } = schedule
  switch (schedule.lr_scheduler) {
    case 'cosine':
      return 0.5 * lr * (1 + Math.cos((Math.PI * Math.min(epoch, epochs)) / epochs))
    case 'step':
      return lr * schedule.lr_gamma ** schedule.lr_milestones.filter((milestone) => epoch >= milestone).length
    case 'constant':
      return lr
  }
}
