#!/usr/bin/env node
/** The `mn-video` program: its commands, and how every failure ends. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { asMessage, reasonOf } from '../errors.ts'
import { addCalibrateLatency } from './calibrate-latency.ts'
import { addCurve } from './curve.ts'
import { addData } from './data.ts'
import { addDoctor } from './doctor.ts'
import { addEval } from './eval.ts'
import { addExport } from './export.ts'
import { addImport } from './import.ts'
import { addInit } from './init.ts'
import { addProfile } from './profile.ts'
import { endActivity, print, startActivity, warn } from './progress.ts'
import { EXIT, errorJson, exitCodeOf, report } from './report.ts'
import { addServe } from './serve.ts'
import { addSpans } from './spans.ts'
import { addTest } from './test.ts'
import { addTrain } from './train.ts'
import { addWatch } from './watch.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const program = new Command('mn-video')
  .description('One network that runs at many costs: classify videos and images under a budget.')
  .version(version)
  .option('--debug', 'show the stack of a failure')
  .configureOutput({ outputError: (text, write) => write(`${asMessage(text.trimEnd())}\n`) })
  .showSuggestionAfterError()
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    'after',
    '\nStart with:\n  mn-video init x3d --out runs/x3d\n  mn-video eval --clip video.mp4 --gflops 2',
  )
addTrain(program)
addTest(program)
addCalibrateLatency(program)
addEval(program)
addSpans(program)
addWatch(program)
addServe(program)
addInit(program)
addImport(program)
addExport(program)
addCurve(program)
addProfile(program)
addData(program)
addDoctor(program)
const withSubcommands = (command: Command): Command[] => [
  command,
  ...command.commands.flatMap(withSubcommands),
]
for (const command of withSubcommands(program)) command.exitOverride()
program.hook('preAction', (_, command) => startActivity(`mn-video ${command.name()}`))

// A reader that has seen enough (`| head`) closes the pipe; that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.done)
  warn(`mn-video: the output cannot be written: ${reasonOf(error)}.`)
  process.exit(EXIT.failed)
})

try {
  await program.parseAsync()
} catch (error) {
  endActivity()
  report(error, program.opts<{ debug?: boolean }>().debug === true)
  if (process.argv.includes('--json') && !(error instanceof CommanderError)) {
    print(JSON.stringify(errorJson(error), null, 2))
  }
  process.exitCode = exitCodeOf(error)
} finally {
  endActivity()
}
