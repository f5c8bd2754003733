/**
 * What the native engine answers to the conformance cases and to convolutions in bfloat16, kept by one processor and
 * checked by another: `outputs.js write FILE [PATTERN]`, `outputs.js check FILE`. Alone it needs Node and no package.
 *
 * A case is named `own: TITLE` (by our kernels, forward and backward), `onednn: TITLE` (its convolutions by oneDNN,
 * forward) or `bf16: TITLE`; PATTERN, a regular expression, chooses among these names. Those come first that have the
 * most code of their own.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { openOnednnEngine } from '../../src/engines/onednn/engine.ts'
import { softmax } from '../../src/engines/scores.ts'
import { createRandom } from '../../src/network/random.ts'
import { BF16_CASES, nativeBf16 } from '../support/bf16-convolutions.ts'
import {
  CLASSES,
  type ConformanceCase,
  conformanceCases,
  materials,
  wideCases,
} from '../support/conformance-cases.ts'

type Outputs = Readonly<Record<string, Float32Array>>

interface Check {
  readonly name: string
  run(): Promise<Outputs>
  /** Of the largest value; bfloat16 is summed in the same order everywhere. */
  readonly tolerance: number
}

const [mode, file, pattern = ''] = process.argv.slice(2)
if (!file || (mode !== 'write' && mode !== 'check')) throw new Error('outputs.js write|check FILE [PATTERN]')
const own = await openOnednnEngine({ threads: 1, dense: 'own' })
const onednn = await openOnednnEngine({ threads: 1, dense: 'onednn' })
const checks = allChecks().filter(({ name }) => new RegExp(pattern).test(name))
if (mode === 'write') await write(file)
else await check(file)

function allChecks(): Check[] {
  const convolutions = conformanceCases().filter(({ title }) => /^(conv|stem)/.test(title))
  const others = conformanceCases().filter(({ title }) => !/^(conv|stem)/.test(title))
  const byOwn = (each: ConformanceCase): Check => ({
    name: `own: ${each.title}`,
    tolerance: 2e-4,
    run: async () => ({ ...(await forward(each, own)), ...(await gradients(each)) }),
  })
  return [
    ...wideCases().map(byOwn),
    ...BF16_CASES.map((each) => ({
      name: `bf16: ${each.title}`,
      tolerance: 2e-6,
      run: async () => ({ y: await nativeBf16(each) }),
    })),
    ...convolutions.map(byOwn),
    ...others.map(byOwn),
    ...[...wideCases(), ...convolutions].map((each) => ({
      name: `onednn: ${each.title}`,
      tolerance: 2e-4,
      run: () => forward(each, mode === 'write' ? own : onednn),
    })),
  ]
}

async function forward(each: ConformanceCase, engine: typeof own): Promise<Outputs> {
  const { weights, inputs, statistics } = materials(each)
  const found: Record<string, Float32Array> = {}
  for (const use of [statistics, 'batch'] as const) {
    const plan = await engine.compile(each.subNetwork, weights, { statistics: use })
    found[use === 'batch' ? 'on statistics of the batch' : 'forward'] = (await plan.run(inputs)).logits
    plan.dispose()
  }
  return found
}

async function gradients(each: ConformanceCase): Promise<Outputs> {
  const { subNetwork, batch } = each
  const { weights, inputs } = materials(each)
  const random = createRandom(3)
  const probabilities = new Float32Array(batch * CLASSES)
  for (let n = 0; n < batch; n++) {
    probabilities.set(softmax(Array.from({ length: CLASSES }, () => random.normal())), n * CLASSES)
  }
  const trainer = await own.openTrainer(subNetwork.network, weights, {
    momentum: 0,
    nesterov: false,
    weightDecay: 0,
  })
  await trainer.accumulate(subNetwork, inputs, { probabilities })
  const found = [...trainer.gradients()].map(([name, values]) => [`gradient of ${name}`, values.slice()])
  trainer.dispose()
  return Object.fromEntries(found)
}

/** A line per case: its name, and its outputs in base 64, which an emulated processor reads soon enough. */
async function write(to: string): Promise<void> {
  const lines: string[] = []
  for (const { name, run } of checks) {
    const outputs = Object.entries(await run()).map(([output, { buffer, byteOffset, byteLength }]) => [
      output,
      Buffer.from(buffer, byteOffset, byteLength).toString('base64'),
    ])
    lines.push(`${name}\n${JSON.stringify(Object.fromEntries(outputs))}\n`)
  }
  writeFileSync(to, lines.join(''))
  console.log(`${checks.length} cases written by ${own.description}`)
}

async function check(from: string): Promise<void> {
  console.log(`${own.description}, bf16 ${own.bf16}`)
  const lines = readFileSync(from, 'utf8').split('\n')
  let [cases, wrong] = [0, 0]
  const worst = { own: 0, onednn: 0, bf16: 0 }
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const { name, run, tolerance } = checks.find((each) => each.name === lines[i])!
    const expected: Record<string, string> = JSON.parse(lines[i + 1]!)
    const found = Object.entries(await run())
    const differences = found.map(([output, values]) => difference(output, values, expected[output]!))
    const largest = Math.max(...differences)
    const kind = name.split(':')[0] as keyof typeof worst
    worst[kind] = Math.max(worst[kind], largest)
    const right = largest < tolerance
    if (!right) wrong++
    console.log(
      `${++cases}/${(lines.length - 1) / 2} ${right ? 'right' : 'WRONG'} ${largest.toExponential(1)} ${name}`,
    )
    if (right) continue
    found.forEach(([output], n) => {
      console.log(`  ${output}: ${differences[n]!.toExponential(1)}`)
    })
  }
  const summary = Object.entries(worst).map(([kind, most]) => `${kind} ${most.toExponential(1)}`)
  console.log(`${cases} cases, ${wrong} wrong; largest differences: ${summary.join(', ')}`)
  process.exitCode = wrong > 0 ? 1 : 0
}

/** The largest difference, as a part of the largest value; gradients that cancel to nothing are all rounding. */
function difference(name: string, values: Float32Array, encoded: string): number {
  const bytes = Uint8Array.from(Buffer.from(encoded, 'base64'))
  const expected = new Float32Array(bytes.buffer)
  let largest = name.startsWith('gradient') ? 0.01 : 1e-3
  let most = values.length === expected.length ? 0 : Number.POSITIVE_INFINITY
  expected.forEach((value, i) => {
    largest = Math.max(largest, Math.abs(value))
    const apart = Math.abs(values[i]! - value)
    most = apart <= most ? most : apart // not a number counts as far apart
  })
  return Number.isNaN(most) ? Number.POSITIVE_INFINITY : most / largest
}
