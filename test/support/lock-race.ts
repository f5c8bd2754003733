/** Several processes that reach for the lock of one folder at the same moment. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const CONTENDER = fileURLToPath(new URL('./lock-contender.mjs', import.meta.url))

export type Outcome =
  | { readonly from: string; readonly to: string; readonly inherited: boolean }
  | { readonly refused: string }

export interface Contenders {
  /** Lets all of them try at once; an owner keeps the folder for so many milliseconds. */
  race(folder: string, milliseconds: number): Promise<Outcome[]>
  end(): void
}

export async function startContenders(count: number): Promise<Contenders> {
  const children = Array.from({ length: count }, () => fork(CONTENDER))
  await Promise.all(children.map((child) => once(child, 'message')))
  const tell = async (child: ChildProcess, message: object): Promise<Outcome> => {
    const answer = once(child, 'message')
    child.send(message)
    return (await answer)[0] as Outcome
  }
  return {
    race(folder, milliseconds) {
      const at = Date.now() + 20
      return Promise.all(children.map((child) => tell(child, { folder, at, milliseconds })))
    },
    end() {
      for (const child of children) child.disconnect()
    },
  }
}

/** The owners in the order of time, and how many of them came before the one before had let go. */
export function ownersIn(outcomes: readonly Outcome[]): {
  readonly owners: number
  readonly overlaps: number
} {
  const spans = outcomes
    .flatMap((outcome) => ('from' in outcome ? [{ from: BigInt(outcome.from), to: BigInt(outcome.to) }] : []))
    .sort((a, b) => (a.from < b.from ? -1 : 1))
  const overlaps = spans.filter((span, i) => i > 0 && span.from < spans[i - 1]!.to).length
  return { owners: spans.length, overlaps }
}
