import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { doing, endActivity, print, startActivity, startProgress } from '../../src/cli/progress.ts'

const written: string[] = []
const isTerminal = Object.getOwnPropertyDescriptor(process.stderr, 'isTTY')

function onTerminal(value: boolean): void {
  Object.defineProperty(process.stderr, 'isTTY', { value, configurable: true })
}

beforeEach(() => {
  written.length = 0
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
  vi.spyOn(console, 'log').mockImplementation((text) => void written.push(`out: ${text}`))
})

afterEach(() => {
  endActivity()
  vi.restoreAllMocks()
  vi.useRealTimers()
  if (isTerminal) Object.defineProperty(process.stderr, 'isTTY', isTerminal)
  else Reflect.deleteProperty(process.stderr, 'isTTY')
})

describe('what a command is doing', () => {
  it('is said on a terminal after two seconds, with how long it has been at it, and goes before results', () => {
    onTerminal(true)
    startActivity('mn-video eval')
    doing('loading runs/x3d')
    vi.advanceTimersByTime(1999)
    expect(written).toEqual([])
    vi.advanceTimersByTime(2001)
    expect(written.at(-1)).toBe('\r\u001b[Kloading runs/x3d, 4 s')
    vi.advanceTimersByTime(200)
    doing('classifying a.mp4')
    expect(written.at(-1)).toBe('\r\u001b[Kclassifying a.mp4')
    print('a result')
    expect(written.slice(-2)).toEqual(['\r\u001b[K', 'out: a result'])
  })

  it('is a plain line every ten seconds elsewhere', () => {
    onTerminal(false)
    startActivity('mn-video import')
    doing('reading a.pyth')
    vi.advanceTimersByTime(60_000)
    expect(written.length).toBeGreaterThanOrEqual(5)
    expect(written.length).toBeLessThanOrEqual(6)
    expect(written[0]).toMatch(/^ {2}reading a\.pyth, \d+ s\n$/)
  })

  it('counts, with the rate of what was new and the time left', () => {
    onTerminal(true)
    startActivity('mn-video data check')
    const progress = startProgress('checked', 10)
    progress.step(false)
    for (let i = 0; i < 4; i++) {
      vi.advanceTimersByTime(1300)
      progress.step()
    }
    expect(written.at(-1)).toBe('\r\u001b[Kchecked 5 of 10, 0.8 a second, 7 s left')
  })

  it('is no more said when the command has ended', () => {
    onTerminal(true)
    startActivity('mn-video eval')
    vi.advanceTimersByTime(3000)
    endActivity()
    const before = written.length
    vi.advanceTimersByTime(9000)
    expect(written.length).toBe(before)
    expect(written.at(-1)).toBe('\r\u001b[K')
  })
})
