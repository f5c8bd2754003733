/** The native engine as the table of engines has it. */
import { X3D_VARIANTS, x3d } from '../../models/x3d.ts'
import { initialise } from '../../network/initialise.ts'
import { resolve } from '../../network/resolve.ts'
import { initialStatistics } from '../../network/store.ts'
import type { EngineSpec, Finding } from '../engine.ts'
import { type NativeEngine, nativeUnavailable, openNativeEngine } from './engine.ts'

export const nativeSpec: EngineSpec<'native'> = {
  name: 'native',
  advantage: 'many times faster',
  backends: [],
  hasThreads: true,
  precisions: ['float32', 'bf16'],
  unavailable: nativeUnavailable,
  open: ({ threads }) => openNativeEngine(threads === undefined ? {} : { threads }),
  examine,
}

async function examine(): Promise<Finding[]> {
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
