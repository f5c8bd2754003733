/** `mn-video doctor`: what this machine offers the program, what is missing and how to get it. */
import { cpus, totalmem } from 'node:os'
import type { Command } from 'commander'
import { ENGINES, openEngine } from '../engines/index.ts'
import { type NativeEngine, nativeUnavailable, openNativeEngine } from '../engines/native/engine.ts'
import { openTfjsEngine, TFJS_BACKENDS } from '../engines/tfjs/engine.ts'
import { LONGEST_LINE, MnVideoError, messageOf } from '../errors.ts'
import { loadSharp } from '../image/sharp.ts'
import { memoryLimit, processorLimit } from '../machine.ts'
import { X3D_VARIANTS, x3d } from '../models/x3d.ts'
import { initialise } from '../network/initialise.ts'
import { resolve } from '../network/resolve.ts'
import { initialStatistics } from '../network/store.ts'
import { findBinaries } from '../video/binaries.ts'
import { installAdvice, thisSystem } from '../video/install-advice.ts'
import { doing, print } from './progress.ts'
import { formatTable } from './table.ts'

interface Finding {
  readonly what: string
  readonly state: 'ok' | 'absent' | 'missing'
  readonly detail: string
}

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

async function native(): Promise<Finding[]> {
  const what = 'native'
  const reason = nativeUnavailable()
  if (reason !== undefined) return [{ what, state: 'absent', detail: reason }]
  const engine = await openNativeEngine()
  return [
    { what, state: 'ok', detail: engine.description },
    { what: 'native bf16', ...bf16Of(engine) },
    { what: 'native memory', state: 'ok', detail: await memoryOf(engine) },
  ]
}

const bf16Of = ({ bf16 }: NativeEngine): Pick<Finding, 'state' | 'detail'> =>
  bf16 === 'native'
    ? { state: 'ok', detail: 'avx512_bf16' }
    : {
        state: 'absent',
        detail:
          'no avx512_bf16 on this processor: --precision bf16 is slower than float32, to check answers with',
      }

/** What the engine holds outside the JS heap once it has run a common network, which shows that it runs, too. */
async function memoryOf(engine: NativeEngine): Promise<string> {
  const network = x3d({ classes: 400, ...X3D_VARIANTS.m })
  const { frames, size } = network
  const subNetwork = resolve(network, { width: 1, frames, size })
  const statistics = initialStatistics(subNetwork)
  const plan = await engine.compile(subNetwork, initialise(network, 1), { statistics })
  const data = new Float32Array(frames * size * size * 3)
  await plan.run({ clip: { data, batch: 1, frames, height: size, width: size } })
  plan.dispose()
  const { arena, weights, plans } = engine.memory()
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`
  return (
    `${network.name}, one clip of ${frames}×${size}²: ${mib(weights)} of packed weights (plans kept: ${plans}), ` +
    `${mib(arena)} for values (shared by all plans)`
  )
}

async function engines(): Promise<Finding[]> {
  const findings: Finding[] = await native()
  for (const backend of TFJS_BACKENDS) {
    const what = `tfjs: ${backend}`
    try {
      const { description } = await openTfjsEngine(backend)
      findings.push({ what, state: 'ok', detail: description })
    } catch (error) {
      const reason = messageOf(error).split('\n').slice(1).join('; ').replace(`${backend}: `, '')
      const way = backend === 'tensorflow' ? '; docs/tensorflow.md shows how to install it' : ''
      findings.push({ what, state: 'absent', detail: `${reason}${way}` })
    }
  }
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
