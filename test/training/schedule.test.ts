import { describe, expect, it } from 'vitest'
import { learningRate, type Schedule } from '../../src/training/schedule.ts'

const schedule: Schedule = {
  lr: 0.1,
  lr_scheduler: 'cosine',
  lr_milestones: [50, 75],
  lr_gamma: 0.1,
  warmup_epochs: 0,
  warmup_lr: 0.01,
  num_epochs: 100,
}

describe('learning rate', () => {
  it('falls from lr to 0 along half a cosine', () => {
    expect(learningRate(schedule, 0)).toBe(0.1)
    expect(learningRate(schedule, 50)).toBeCloseTo(0.05, 12)
    expect(learningRate(schedule, 25)).toBeCloseTo(0.05 * (1 + Math.SQRT1_2), 12)
    expect(learningRate(schedule, 100)).toBeCloseTo(0, 12)
  })

  it('rises on a line to where the schedule is when the warm-up ends', () => {
    const warm = { ...schedule, warmup_epochs: 10 }
    const end = learningRate(schedule, 10)
    expect(learningRate(warm, 0)).toBe(0.01)
    expect(learningRate(warm, 5)).toBeCloseTo((0.01 + end) / 2, 12)
    expect(learningRate(warm, 10)).toBe(end)
    expect(learningRate(warm, 40)).toBe(learningRate(schedule, 40))
  })

  it('falls in steps, or not at all', () => {
    const steps = { ...schedule, lr_scheduler: 'step' } as const
    expect([0, 49.9, 50, 74.9, 75, 100].map((epoch) => learningRate(steps, epoch))).toEqual([
      0.1,
      0.1,
      0.1 * 0.1,
      0.1 * 0.1,
      0.1 * 0.1 ** 2,
      0.1 * 0.1 ** 2,
    ])
    expect(learningRate({ ...schedule, lr_scheduler: 'constant' }, 99)).toBe(0.1)
  })
})
