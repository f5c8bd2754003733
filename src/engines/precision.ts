/** The precisions that inference can be asked for, and what an engine makes of them. Training is in float32 always. */
import { MnVideoError } from '../errors.ts'
import type { Engine } from './engine.ts'

/** What dense convolutions and linear layers multiply; sums, and everything else, are float32 in both. */
export const PRECISIONS = ['float32', 'bf16'] as const
export type Precision = (typeof PRECISIONS)[number]

type Described = Pick<Engine, 'name' | 'description' | 'bf16'>

/** @throws MnVideoError `usage` for a precision that does not exist, or that the engine does not have */
export function checkPrecision(engine: Described, precision: Precision = 'float32'): void {
  if (!PRECISIONS.includes(precision)) {
    throw new MnVideoError(
      'usage',
      `there is no precision "${precision}". Give one of ${PRECISIONS.join(', ')}.`,
    )
  }
  if (precision === 'bf16' && !engine.bf16) {
    throw new MnVideoError(
      'usage',
      `the ${engine.name} engine computes in float32 alone; bf16 needs the native engine.`,
    )
  }
}

/** Which better engines and backends cannot be used here, and why: what every command says that opens an engine. */
export const skippedLines = ({ skipped = [] }: Pick<Engine, 'skipped'>): readonly string[] =>
  skipped.map((reason) => `not ${reason}`)

/** An engine at a precision, for people, and to tell apart what was measured with it. */
export function describeEngine(engine: Described, precision: Precision = 'float32'): string {
  if (precision === 'float32') return engine.description
  const how =
    engine.bf16 === 'native'
      ? ''
      : ' by rounding (no avx512_bf16 on this processor: slower than float32, to check answers with)'
  return `${engine.description}, bf16${how}`
}
