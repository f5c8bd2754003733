/** Losses that have left the numbers do not come back: what to do then, as a command that does it. */
import { stat } from 'node:fs/promises'
import { applyOverrides, type Config, type KeyName, parseConfig } from '../config/index.ts'
import { MnVideoError } from '../errors.ts'
import { configurationKey } from '../network/resolve.ts'
import { shellQuoted } from '../shell.ts'
import type { Progress } from './checkpoint.ts'
import type { StepResult } from './step.ts'

/**
 * The error of a step whose loss or gradient is no number. Its advice is a new run: what a checkpoint has is on its way
 * out of the numbers, and the same steps would follow from it.
 */
export async function diverged(
  { folder, progress }: { readonly folder: string; readonly progress: Progress },
  config: Config,
  { losses }: StepResult,
  lr: number,
): Promise<MnVideoError> {
  const last = losses.at(-1)!
  const where = Number.isFinite(last.loss)
    ? 'the gradient is'
    : `the loss of sub-network ${last.name} (${configurationKey(last.configuration)}: width-frames-size) is`
  return new MnVideoError(
    'training',
    `step ${progress.step + 1}: ${where} not a finite number, at learning rate ${lr.toPrecision(3)}.\n` +
      `Train again with a lower lr and clip_gradient: ${await calmerTraining(folder, config)}`,
  )
}

/** The same training anew with a lower rate and short steps, in a folder of its own. */
async function calmerTraining(folder: string, config: Config): Promise<string> {
  const lr = Number(Math.min(config.lr / 10, usualRate(config)).toPrecision(3))
  const changes: Partial<Record<KeyName, number | string>> = {
    lr,
    ...(config.warmup_epochs > 0 && config.warmup_lr > lr && { warmup_lr: lr }),
    ...(config.clip_gradient === 0 && { clip_gradient: 1 }),
    // The weights of a run that went on from a checkpoint may have been bad from the start.
    ...(config.resume !== '' && { resume: '' }),
  }
  const set = Object.entries(changes).map(([key, value]) => `--set ${key}=${value}`)
  return `mn-video train ${shellQuoted(folder)} ${set.join(' ')} --out ${shellQuoted(await freeFolder(folder))}`
}

/** The rate that the model's recipe has for so many samples a step. */
function usualRate({ model, batch_size, accumulate }: Config): number {
  const recipe = parseConfig(`model: ${model}`, model)
  return applyOverrides(recipe, [`batch_size=${batch_size}`, `accumulate=${accumulate}`]).lr
}

/** A folder beside this one that is not there yet. */
async function freeFolder(folder: string): Promise<string> {
  const bare = folder.replace(/\/+$/, '')
  for (let n = 2; ; n++) {
    const free = await stat(`${bare}-${n}`).then(
      () => false,
      () => true,
    )
    if (free) return `${bare}-${n}`
  }
}
