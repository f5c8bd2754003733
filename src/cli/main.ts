#!/usr/bin/env node
/** The `mn-video` program: its commands, and how every failure ends. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { MnVideoError, messageOf } from '../errors.ts'
import { addDoctor } from './doctor.ts'
import { addEval } from './eval.ts'
import { addExport } from './export.ts'
import { addImport } from './import.ts'
import { addInit } from './init.ts'
import { addProfile } from './profile.ts'

/** Exit codes: 0 done, 1 failed, 2 wrong usage. */
const FAILED = 1
const WRONG_USAGE = 2

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const program = new Command('mn-video')
  .description('One network that runs at many costs: classify videos and images under a budget.')
  .version(version)
  .option('--debug', 'show the stack of a failure')
  .showSuggestionAfterError()
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    'after',
    '\nStart with:\n  mn-video init x3d --out runs/x3d\n  mn-video eval --clip video.mp4 --gflops 2',
  )
addEval(program)
addInit(program)
addImport(program)
addExport(program)
addProfile(program)
addDoctor(program)
for (const command of [program, ...program.commands]) command.exitOverride()

// A reader that has seen enough (`| head`) closes the pipe; that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : FAILED)
})

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE
  if (program.opts<{ debug?: boolean }>().debug && error instanceof Error) console.error(error.stack)
  else if (error instanceof MnVideoError) console.error(`mn-video: ${error.message}`)
  else console.error(`mn-video: ${messageOf(error)}\nThis is a bug. Run again with --debug for its stack.`)
  return error instanceof MnVideoError && error.code === 'usage' ? WRONG_USAGE : FAILED
}
