/** Runs the built program as a user does: a process of its own. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** The built program. */
export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** Runs `mn-video` with arguments to its end. */
export function mnVideo(
  args: readonly string[],
  options: {
    readonly cwd?: string
    readonly env?: Readonly<Record<string, string>>
    /** The most blocks that a file may have which it writes (`ulimit -f`). */
    readonly fileBlocks?: number
  } = {},
): Promise<Finished> {
  const command = [process.execPath, MAIN, ...args]
  const [program = '', ...rest] =
    options.fileBlocks === undefined
      ? command
      : ['sh', '-c', `ulimit -f ${options.fileBlocks} && exec "$@"`, 'sh', ...command]
  return new Promise((resolve) => {
    execFile(
      program,
      rest,
      { ...options, env: { ...process.env, ...options.env }, maxBuffer: 2 ** 26 },
      (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr })
      },
    )
  })
}
