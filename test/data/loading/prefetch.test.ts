import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { inOrder } from '../../../src/data/loading/prefetch.ts'

/** Jobs that end when told to, and what happened to them. */
function jobs() {
  const ends: ((failure?: Error) => void)[] = []
  let running = 0
  let most = 0
  const job = (index: number, signal: AbortSignal) => {
    most = Math.max(most, ++running)
    return new Promise<number>((settle, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      ends[index] = (failure) => (failure ? reject(failure) : settle(index))
    }).finally(() => running--)
  }
  return { job, ends, running: () => running, most: () => most }
}

describe('running jobs ahead', () => {
  it('gives results in order, whatever order they finish in', async () => {
    const results: number[] = []
    const job = (i: number) => pause((i * 7) % 5, i)
    for await (const result of inOrder(20, job, { atOnce: 4, ahead: 6 })) results.push(result)
    expect(results).toEqual([...Array(20).keys()])
  })

  it('runs no more at once, and has no more waiting, than it may', async () => {
    const { job, ends, running, most } = jobs()
    const results = inOrder(100, job, { atOnce: 3, ahead: 5 })
    const first = results.next()
    expect(ends).toHaveLength(3)
    for (const i of [1, 2, 0]) ends[i]!()
    expect((await first).value).toBe(0)
    for (const i of [3, 4, 5]) ends[i]?.()
    await pause(0)
    // 0 was taken; 1 to 5 wait.
    expect([ends.length, running(), most()]).toEqual([6, 0, 3])
    await results.return()
  })

  it('aborts the jobs that run when it is left, and waits for them', async () => {
    const { job, ends, running } = jobs()
    const results = inOrder(100, job, { atOnce: 3, ahead: 5 })
    const first = results.next()
    ends[0]!()
    await first
    expect(running()).toBe(3)
    await results.return()
    expect(running()).toBe(0)
    expect(await results.next()).toEqual({ value: undefined, done: true })
  })

  it('gives what comes before a failure, then the failure', async () => {
    const { job, ends, running } = jobs()
    const results = inOrder(100, job, { atOnce: 3, ahead: 5 })
    const first = results.next()
    ends[1]!(new Error('no'))
    await pause(0)
    ends[0]!()
    expect((await first).value).toBe(0)
    await expect(results.next()).rejects.toThrow('no')
    expect([running(), ends.length]).toEqual([0, 3])
  })

  it.each([0, 3])('ends with the reason of an abort, %i results in', async (taken) => {
    const control = new AbortController()
    const results = inOrder(100, (i) => pause(1, i), { atOnce: 2, ahead: 4, signal: control.signal })
    for (let i = 0; i < taken; i++) await results.next()
    control.abort(new Error('stopped'))
    await expect(results.next()).rejects.toThrow('stopped')
  })
})
