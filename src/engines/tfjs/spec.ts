/** The tfjs engine as the table of engines has it. */
import { messageOf } from '../../errors.ts'
import type { EngineSpec, Finding } from '../engine.ts'
import { TFJS_BACKENDS, type TfjsBackend } from './backends.ts'

/** Loaded when it is asked for: TensorFlow.js is a quarter of what a program that does without it would load. */
const openTfjsEngine = async (backend?: TfjsBackend) => (await import('./engine.ts')).openTfjsEngine(backend)

export const tfjsSpec: EngineSpec<'tfjs'> = {
  name: 'tfjs',
  advantage: 'runs anywhere',
  backends: TFJS_BACKENDS,
  hasThreads: false,
  precisions: ['float32'],
  unavailable: () => undefined,
  // The table gives a backend of ours alone.
  open: ({ backend }) => openTfjsEngine(backend as TfjsBackend | undefined),
  examine,
}

async function examine(): Promise<Finding[]> {
  const findings: Finding[] = []
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
  return findings
}
