/** Gives damaged input to a taker and judges what comes of it. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const TAKER = fileURLToPath(new URL('./taker.mjs', import.meta.url))
/** What takes longer hangs: it is a hundred times what the slowest whole input takes. */
const PATIENCE_MS = 60_000

export interface Outcome {
  readonly answered?: true
  /** What is wrong with the answer. */
  readonly wrong?: string
  readonly error?: { readonly name?: string; readonly message: string; readonly stack: string }
}

/** What an input led to; everything but an answer and an error that explains itself is a fault. */
export type Verdict = 'answered' | 'refused' | { readonly fault: string }

export function judge(outcome: Outcome): Verdict {
  if (outcome.answered) return 'answered'
  if (outcome.wrong !== undefined) return { fault: `wrong answer: ${outcome.wrong}` }
  const { name, message, stack } = outcome.error!
  if (name !== 'MnVideoError') return { fault: stack }
  const lines = message.split('\n')
  if (lines.length > 3) return { fault: `an error of ${lines.length} lines: ${message}` }
  if (message.length > 1500)
    return { fault: `an error of ${message.length} characters: ${message.slice(0, 300)}` }
  return /^\s+at /m.test(message) ? { fault: `a stack: ${message}` } : 'refused'
}

export interface Taker {
  take(kind: string, path: string): Promise<Verdict>
  end(): void
}

/** A taker, started anew when it dies. */
export function openTaker(): Taker {
  let child: ChildProcess | undefined
  return {
    async take(kind, path) {
      if (!child) {
        child = fork(TAKER, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
        await once(child, 'message')
      }
      const taker = child
      let said = ''
      const listen = (chunk: Buffer) => {
        said += chunk
      }
      taker.stderr!.on('data', listen)
      const answered = new AbortController()
      const { signal } = answered
      try {
        const ended = once(taker, 'exit', { signal }).then(([code, killer]) => ({
          fault: `the process ended with ${code ?? killer}: ${said.trim().slice(-300)}`,
        }))
        const hangs = new Promise<Verdict>((resolve) => {
          const timer = setTimeout(
            () => resolve({ fault: `no answer in ${PATIENCE_MS / 1000} s` }),
            PATIENCE_MS,
          )
          signal.addEventListener('abort', () => clearTimeout(timer))
        })
        const told = once(taker, 'message', { signal }).then(([outcome]) => judge(outcome as Outcome))
        taker.send({ kind, path })
        const verdict = await Promise.race([told, ended.catch(() => hangs), hangs])
        if (typeof verdict === 'object' && !verdict.fault.startsWith('wrong')) {
          taker.kill('SIGKILL')
          child = undefined
        }
        told.catch(() => {})
        return verdict
      } finally {
        taker.stderr!.off('data', listen)
        answered.abort()
      }
    },
    end: () => child?.kill(),
  }
}
