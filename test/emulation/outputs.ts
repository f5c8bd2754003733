/**
 * What the native engine answers to the conformance cases and to convolutions in bfloat16, kept by one processor and
 * checked by another: `outputs.js write FILE [PATTERN]`, `outputs.js check FILE`. Alone it needs Node and no package.
 *
 * A case is named `f32: TITLE` (forward and backward) or `bf16: TITLE`; PATTERN, a regular expression, chooses among these names. Those come first that have the
 * most code of their own.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { openNativeEngine } from '../../src/engines/native/engine.ts'
import { BF16_CASES, nativeBf16 } from '../support/bf16-convolutions.ts'
import { type ConformanceCase, conformanceCases, wideCases } from '../support/conformance-cases.ts'
import { difference, type Outputs, outputsOf } from '../support/outputs.ts'

interface Check {
  readonly name: string
  run(): Promise<Outputs>
  /** Of the largest value; bfloat16 is summed in the same order everywhere. */
  readonly tolerance: number
}

const [mode, file, pattern = ''] = process.argv.slice(2)
if (!file || (mode !== 'write' && mode !== 'check')) throw new Error('outputs.js write|check FILE [PATTERN]')
const engine = await openNativeEngine({ threads: 1 })
const checks = allChecks().filter(({ name }) => new RegExp(pattern).test(name))
if (mode === 'write') await write(file)
else await check(file)

function allChecks(): Check[] {
  const convolutions = conformanceCases().filter(({ title }) => /^(conv|stem)/.test(title))
  const others = conformanceCases().filter(({ title }) => !/^(conv|stem)/.test(title))
  const inFloat32 = (each: ConformanceCase): Check => ({
    name: `f32: ${each.title}`,
    tolerance: 2e-4,
    run: () => outputsOf(engine, each),
  })
  return [
    ...wideCases().map(inFloat32),
    ...BF16_CASES.map((each) => ({
      name: `bf16: ${each.title}`,
      tolerance: 2e-6,
      run: async () => ({ y: await nativeBf16(each) }),
    })),
    ...convolutions.map(inFloat32),
    ...others.map(inFloat32),
  ]
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
  console.log(`${checks.length} cases written by ${engine.description}`)
}

async function check(from: string): Promise<void> {
  console.log(`${engine.description}, bf16 ${engine.bf16}`)
  const lines = readFileSync(from, 'utf8').split('\n')
  let [cases, wrong] = [0, 0]
  const worst = { f32: 0, bf16: 0 }
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const { name, run, tolerance } = checks.find((each) => each.name === lines[i])!
    const expected: Record<string, string> = JSON.parse(lines[i + 1]!)
    const found = Object.entries(await run())
    const differences = found.map(([output, values]) =>
      difference(output, values, decoded(expected[output]!)),
    )
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

function decoded(base64: string): Float32Array {
  const bytes = Uint8Array.from(Buffer.from(base64, 'base64'))
  return new Float32Array(bytes.buffer)
}
