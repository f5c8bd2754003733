/**
 * What the native engine answers to the conformance cases, forward and backward, kept by one processor and
 * checked by another: `outputs.js write FILE`, `outputs.js check FILE own|onednn`. Alone it needs Node and no package.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { openOnednnEngine } from '../../src/engines/onednn/engine.ts'
import { softmax } from '../../src/engines/scores.ts'
import { createRandom } from '../../src/network/random.ts'
import {
  CLASSES,
  type ConformanceCase,
  conformanceCases,
  materials,
  wideCases,
} from '../../test/support/conformance-cases.ts'

const [mode, file, dense] = process.argv.slice(2)
if (!file || (mode !== 'write' && mode !== 'check'))
  throw new Error('outputs.js write|check FILE [own|onednn]')
const engine = await openOnednnEngine({ threads: 1, dense: dense === 'onednn' ? 'onednn' : 'own' })
console.log(`${engine.description}, dense convolutions by ${dense ?? 'own'} kernels`)
const kept: Record<string, Record<string, number[]>> = mode === 'check'
  ? JSON.parse(readFileSync(file, 'utf8'))
  : {}
let [cases, wrong, worst] = [0, 0, 0]
for (const each of [...conformanceCases(), ...wideCases()]) {
  const found = await outputsOf(each)
  if (mode === 'write') kept[each.title] = found
  else compare(each.title, found, kept[each.title]!)
  if (++cases % 10 === 0)
    console.log(`${cases} cases, ${wrong} outputs wrong, largest difference ${worst.toExponential(1)}`)
}
if (mode === 'write') writeFileSync(file, JSON.stringify(kept))
console.log(`all ${cases} cases, ${wrong} outputs wrong, largest difference ${worst.toExponential(1)}`)
process.exitCode = wrong > 0 ? 1 : 0

async function outputsOf(each: ConformanceCase): Promise<Record<string, number[]>> {
  const { subNetwork, batch } = each
  const { weights, inputs, statistics } = materials(each)
  const found: Record<string, number[]> = {}
  for (const use of [statistics, 'batch'] as const) {
    const plan = await engine.compile(subNetwork, weights, { statistics: use })
    const { logits } = await plan.run(inputs)
    found[use === 'batch' ? 'on statistics of the batch' : 'forward'] = [...logits]
    plan.dispose()
  }
  // Training never uses oneDNN.
  if (dense === 'onednn') return found
  const random = createRandom(3)
  const probabilities = new Float32Array(batch * CLASSES)
  for (let n = 0; n < batch; n++) {
    probabilities.set(softmax(Array.from({ length: CLASSES }, () => random.normal())), n * CLASSES)
  }
  const trainer = await engine.openTrainer(subNetwork.network, weights, {
    momentum: 0,
    nesterov: false,
    weightDecay: 0,
  })
  await trainer.accumulate(subNetwork, inputs, { probabilities })
  for (const [name, gradient] of trainer.gradients()) found[`gradient of ${name}`] = [...gradient]
  trainer.dispose()
  return found
}

/** Counts outputs that differ by more than a small part of their largest value. */
function compare(title: string, found: Record<string, number[]>, expected: Record<string, number[]>): void {
  for (const [name, values] of Object.entries(found)) {
    // Gradients that cancel to nothing are all rounding.
    const floor = name.startsWith('gradient') ? 0.01 : 1e-3
    const largest = Math.max(floor, ...expected[name]!.map(Math.abs))
    const difference = Math.max(...values.map((value, i) => Math.abs(value - expected[name]![i]!))) / largest
    worst = Math.max(worst, difference)
    if (difference < 2e-4) continue
    wrong++
    console.log(`WRONG ${title}: ${name} differs by ${difference.toExponential(1)}`)
  }
}
