/** Where a program's standard streams and further outputs go. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import type { Readable } from 'node:stream'

/**
 * The `stdio` of a program with so many outputs: standard output, then `pipe:3` and so on. Node's types know no more
 * than the three standard streams, so it goes by the name of these.
 */
export const stdioFor = (input: 'pipe' | 'ignore', outputs: number): 'pipe' =>
  [input, 'pipe', 'pipe', ...Array.from({ length: outputs - 1 }, () => 'pipe')] as unknown as 'pipe'

/** The outputs of a program started with `stdioFor`, in order. */
export const outputsOf = ({ stdio }: ChildProcessWithoutNullStreams): Readable[] => [
  stdio[1],
  ...(stdio.slice(3) as Readable[]),
]
