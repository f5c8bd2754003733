import { describe, expect, it } from 'vitest'
import { Admission, type Admitted, type Asked } from '../../src/server/admission.ts'
import { Overloaded } from '../../src/server/errors.ts'

const CANDIDATES = [
  { entry: 'large', milliseconds: 100 },
  { entry: 'middle', milliseconds: 40 },
  { entry: 'small', milliseconds: 10 },
]

function open(options: { concurrency?: number; waiting?: number; isSwitching?: boolean } = {}) {
  const clock = { now: 0 }
  const admission = new Admission({
    ...{ concurrency: 1, waiting: 100, isSwitching: true, ...options },
    now: () => clock.now,
  })
  const ask = (more: Partial<Asked<string>> = {}) =>
    admission.admit({
      ...{ candidates: CANDIDATES, views: 1, deadline: 1000, isExact: false, kind: 'model' },
      ...more,
    })
  return { admission, clock, ask }
}

/** Serves requests that all come at once, each in the time of its configuration. */
async function burst(
  requests: number,
  options: Parameters<typeof open>[0] = {},
  more: Partial<Asked<string>> = {},
) {
  const { clock, ask } = open(options)
  const got: string[] = []
  const late: number[] = []
  const refused: Overloaded[] = []
  const all = Array.from({ length: requests }, () =>
    ask(more).then(
      (turn) => turns.push(turn),
      (error: unknown) => refused.push(error as Overloaded),
    ),
  )
  const turns: Admitted<string>[] = []
  const settle = () => new Promise((go) => setImmediate(go))
  await settle()
  for (let turn = turns.shift(); turn; turn = turns.shift()) {
    clock.now += CANDIDATES.find(({ entry }) => entry === turn!.entry)!.milliseconds
    got.push(turn.entry)
    if (clock.now > 1000) late.push(clock.now)
    turn.done(0)
    await settle()
  }
  await Promise.all(all)
  return { got, late, refused }
}

describe('admission', () => {
  it('gives what was asked for while there is no load', async () => {
    const { got } = await burst(1)
    expect(got).toEqual(['large'])
  })

  it('goes down the table before it refuses: a burst is answered in time, by less', async () => {
    const { got, late, refused } = await burst(30)
    expect(refused).toEqual([])
    expect(late).toEqual([])
    expect(got).toHaveLength(30)
    // 30 large ones would take 3 s; there is time for more than the smallest alone.
    expect(got).toContain('small')
    expect(new Set(got).size).toBeGreaterThan(1)
  })

  it('refuses only what not even the cheapest answers in time, and says when to try again', async () => {
    const { got, late, refused } = await burst(100, { waiting: 1000 }, { deadline: 300 })
    expect(refused.length).toBeGreaterThan(50)
    // The first came alone and got the largest: there is time for 20 of the smallest behind it.
    expect(got.length).toBeGreaterThanOrEqual(20)
    expect(late).toEqual([])
    for (const error of refused) {
      expect(error).toBeInstanceOf(Overloaded)
      expect(error.retryAfter).toBeGreaterThanOrEqual(1)
    }
  })

  it('without switching refuses sooner, and answers in time what it takes', async () => {
    const { got, late, refused } = await burst(30, { isSwitching: false })
    expect(new Set(got)).toEqual(new Set(['large']))
    expect(refused.length).toBeGreaterThan(15)
    expect(late).toEqual([])
  })

  it('without switching refuses in line what became too late for it, though something cheaper would be in time', async () => {
    const { ask, clock } = open({ isSwitching: false })
    const first = await ask()
    const [second, last] = [ask(), ask()]
    clock.now += 950
    first.done(0)
    await expect(second).rejects.toBeInstanceOf(Overloaded)
    // Nobody waits behind the last one.
    expect((await last).entry).toBe('large')
  })

  it('gives exactly what is asked for to who wants nothing less', async () => {
    const { got, refused } = await burst(30, {}, { isExact: true })
    expect(new Set(got)).toEqual(new Set(['large']))
    expect(refused.length).toBeGreaterThan(0)
  })

  it('bounds the line', async () => {
    const { ask, admission } = open({ waiting: 3 })
    const first = await ask()
    const waiting = [ask(), ask(), ask()]
    await expect(ask()).rejects.toThrow('3 requests wait already')
    expect(admission.waiting).toBe(3)
    first.done()
    for (const turn of waiting) (await turn).done()
    expect([admission.waiting, admission.running]).toEqual([0, 0])
  })

  it('lets who goes away out of the line, and keeps the place of nobody', async () => {
    const { ask, admission } = open()
    const first = await ask()
    const gone = new AbortController()
    const [leaving, staying] = [ask({ signal: gone.signal }), ask()]
    gone.abort()
    await expect(leaving).rejects.toMatchObject({ code: 'cancelled' })
    expect(admission.waiting).toBe(1)
    first.done()
    ;(await staying).done()
    expect(admission.running).toBe(0)
  })

  it('never works for more than it may, however turns come and go', async () => {
    const { ask, admission } = open({ concurrency: 2 })
    let most = 0
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const turn = await ask({ deadline: 1e6 })
        most = Math.max(most, admission.running)
        await new Promise((go) => setImmediate(go))
        turn.done(i % 2 === 0 ? 1 : undefined)
        turn.done()
      }),
    )
    expect(most).toBe(2)
    expect(admission.running).toBe(0)
  })

  it('answers a lone request late rather than not at all', async () => {
    const { ask } = open()
    const turn = await ask({ deadline: 1 })
    expect(turn.entry).toBe('small')
  })

  it('learns that inputs take time, and plans with it', async () => {
    const { ask, clock } = open()
    for (let i = 0; i < 20; i++) {
      const turn = await ask()
      clock.now += 900
      turn.done(800)
    }
    expect((await ask()).entry).not.toBe('large')
  })
})
