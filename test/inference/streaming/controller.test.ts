import { describe, expect, it } from 'vitest'
import { Controller } from '../../../src/inference/streaming/controller.ts'

const CANDIDATES = [
  { entry: 'large', milliseconds: 40 },
  { entry: 'middle', milliseconds: 20 },
  { entry: 'small', milliseconds: 5 },
]

/** Answers every 100 ms with 60 ms for each, under a load that changes; what is chosen, second by second. */
function run(loadAt: (second: number) => number, seconds: number, left = 60) {
  const controller = new Controller(CANDIDATES)
  const chosen: string[] = []
  let late = 0
  for (let now = 0; now < 1000 * seconds; now += 100) {
    const choice = controller.choose(left, now)
    const took = choice.milliseconds * loadAt(now / 1000)
    controller.observe(choice, took)
    if (took > left) late++
    chosen.push(choice.entry)
  }
  return { chosen, late, controller }
}

describe('the controller', () => {
  it('stays with the most accurate that fits', () => {
    const { chosen, late } = run(() => 1, 10)
    expect(new Set(chosen)).toEqual(new Set(['large']))
    expect(late).toBe(0)
  })

  it('goes down at once: one answer is late, the next is not', () => {
    const { chosen, late } = run((second) => (second < 2 ? 1 : 3), 10)
    expect(chosen.slice(0, 20)).toEqual(Array(20).fill('large'))
    // 40 ms become 120; 20 would be 60, which is too near.
    expect(chosen.slice(21, 30)).toEqual(Array(9).fill('small'))
    // Steps up are tried, and given up: fewer and fewer of them.
    expect(late).toBeLessThanOrEqual(4)
  })

  it('goes up after a while, one step after the other', () => {
    const { chosen } = run((second) => (second >= 2 && second < 4 ? 8 : 1), 20)
    const after = chosen.slice(40)
    const [toMiddle, toLarge] = [after.indexOf('middle'), after.indexOf('large')]
    expect(toMiddle).toBeGreaterThan(5)
    expect(toLarge).toBeGreaterThan(toMiddle)
    expect(after.slice(toLarge)).not.toContain('small')
    expect(after.at(-1)).toBe('large')
  })

  it('waits longer where going up has failed', () => {
    // So that the middle one does not hold, though it seems to by what the small one takes.
    const controller = new Controller(CANDIDATES)
    const tries: number[] = []
    for (let now = 0; now < 60_000; now += 100) {
      const choice = controller.choose(60, now)
      if (choice.entry !== 'small') tries.push(now)
      controller.observe(choice, choice.entry === 'small' ? 5 : 100)
    }
    const gaps = tries.slice(1).map((time, i) => time - tries[i]!)
    expect(tries.length).toBeLessThan(12)
    expect(gaps.at(-1)).toBeGreaterThan(4 * 1500)
  })

  it('takes the cheapest where nothing fits', () => {
    const controller = new Controller(CANDIDATES)
    expect(controller.choose(1, 0).entry).toBe('small')
  })

  it('takes what is left into account, not only the deadline', () => {
    const controller = new Controller(CANDIDATES)
    expect(controller.choose(30, 0).entry).toBe('middle')
  })
})
