import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { openStatusLine } from '../../src/cli/status-line.ts'

const open = (secondsBetween: number) => {
  const stream = new PassThrough()
  return { status: openStatusLine(stream, secondsBetween), printed: () => String(stream.read() ?? '') }
}

describe('the status line without a terminal', () => {
  it('prints how far a long piece of work is when nothing was printed for a while', () => {
    const { status, printed } = open(0)
    status.show('step 3: part 1 of 8')
    expect(printed()).toBe('  step 3: part 1 of 8\n')
  })

  it('prints only what stays while that comes often enough', () => {
    const { status, printed } = open(3600)
    status.show('step 3: part 1 of 8')
    status.say('step 3')
    status.show('step 4: part 1 of 8')
    expect(printed()).toBe('step 3\n')
  })
})
