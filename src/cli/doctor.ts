/** `mn-video doctor`: what this machine offers the program, what is missing and how to get it. */
import { cpus, totalmem } from 'node:os'
import type { Command } from 'commander'
import type { Finding } from '../engines/engine.ts'
import { ENGINE_SPECS, ENGINES, openEngine } from '../engines/index.ts'
import { LONGEST_LINE, MnVideoError, messageOf } from '../errors.ts'
import { loadSharp } from '../image/sharp.ts'
import { memoryLimit, processorLimit } from '../machine.ts'
import { findBinaries } from '../video/binaries.ts'
import { installAdvice, thisSystem } from '../video/install-advice.ts'
import { doing, print } from './progress.ts'
import { formatTable } from './table.ts'

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('show FFmpeg, the engines and their backends, threads and memory, and what is missing')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  mn-video doctor')
    .action(async ({ json }: { json?: true }) => {
      doing('trying FFmpeg and the engines')
      const findings = [...machine(), ...(await media()), await pictures(), ...(await engines())]
      if (json) print(JSON.stringify(findings, null, 2))
      else
        print(
          formatTable(
            [['what', 'state', 'detail'], ...findings.map((f) => [f.what, f.state, f.detail])],
            LONGEST_LINE,
          ),
        )
      if (findings.some(({ state }) => state === 'missing')) {
        throw new MnVideoError('missing', 'something that is needed is missing; see above.')
      }
    })
}

function machine(): Finding[] {
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`
  const memory = memoryLimit()
  const threads = processorLimit()
  const limited = memory < totalmem() ? ` of ${gib(totalmem())}, limited by its control group` : ''
  return [
    { what: 'Node.js', state: 'ok', detail: `${process.version}, ${process.platform} ${process.arch}` },
    {
      what: 'machine',
      state: 'ok',
      detail: `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${threads} thread${threads === 1 ? '' : 's'}, ${gib(memory)}${limited}`,
    },
  ]
}

async function media(): Promise<Finding[]> {
  try {
    const { ffmpeg, foundBy, version, ffprobe } = await findBinaries()
    return [
      { what: 'FFmpeg', state: 'ok', detail: `${version}, ${ffmpeg} (${foundBy})` },
      ffprobe
        ? { what: 'ffprobe', state: 'ok', detail: ffprobe }
        : {
            what: 'ffprobe',
            state: 'absent',
            detail: `files are described by ffmpeg itself, more slowly; install FFmpeg (${installAdvice(thisSystem())}) to have it`,
          },
    ]
  } catch (error) {
    return [{ what: 'FFmpeg', state: 'missing', detail: messageOf(error).replaceAll('\n', ' ') }]
  }
}

async function pictures(): Promise<Finding> {
  const what = 'pictures'
  try {
    const { versions } = await loadSharp()
    return { what, state: 'ok', detail: `sharp ${versions.sharp}, libvips ${versions.vips}` }
  } catch (error) {
    return { what, state: 'absent', detail: messageOf(error).replaceAll('\n', ' ') }
  }
}

async function engines(): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const spec of ENGINE_SPECS) findings.push(...(await spec.examine()))
  try {
    findings.push({ what: 'default engine', state: 'ok', detail: `${(await openEngine()).description}` })
  } catch (error) {
    findings.push({
      what: 'default engine',
      state: 'missing',
      detail: `none of ${ENGINES.join(', ')}: ${messageOf(error)}`,
    })
  }
  return findings
}
