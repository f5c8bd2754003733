/** Loads the native add-on and says what it offers; nothing else touches the built file. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../../errors.ts'

/** Floats outside the JS heap, shared by programs. Offsets and counts are in floats. */
export interface NativeMemory {
  /** Grows to at least so many floats; what it held is lost. */
  reserve(floats: number): void
  write(start: number, values: Float32Array): void
  /** Fills `values` from `start` on. */
  read(start: number, values: Float32Array): void
  /** Writes weights [taps, in, out] in the order that steps `dense` or (`bf16`, rounded) `denseBf16` read them. */
  pack(
    start: number,
    weights: Float32Array,
    taps: number,
    inChannels: number,
    outChannels: number,
    bf16: boolean,
  ): void
  /** Transforms weights [9 or (`temporal`) 3 taps, in, out] as steps `winograd` read them. */
  packWinograd(
    start: number,
    weights: Float32Array,
    temporal: boolean,
    inChannels: number,
    outChannels: number,
  ): void
  dispose(): void
  readonly bytes: number
}

/** A typed array that steps read or write in place; it must not change while a run is under way. */
export type External = Float32Array | Uint8Array

/** A list of steps, checked and prepared once, run many times on a worker thread. */
export interface NativeProgram {
  /** Setting `cancel[0]` ends the run before its next step: it fails with `cancelled`. */
  run(arena: NativeMemory, threads: number, externals: readonly External[], cancel: Uint8Array): Promise<void>
  /** Nanoseconds per step, summed over all runs (of a program built with `timed`). */
  timings(): number[]
  dispose(): void
}

export interface ProgramDescription {
  readonly steps: readonly Readonly<Record<string, unknown>>[]
  /** The least number of values of each external. */
  readonly externals: readonly number[]
  /** Floats of the arena that the steps use. */
  readonly arena: number
  readonly timed?: boolean
}

export interface Addon {
  /** `avx512`, `avx2` or `portable`. */
  readonly instructionSet: string
  /** Whether the processor multiplies bfloat16 itself. */
  readonly hasBf16: boolean
  readonly Memory: new (floats: number) => NativeMemory
  readonly Program: new (description: ProgramDescription, constants?: NativeMemory) => NativeProgram
  /** Floats that weights [taps, in, out] take when packed. */
  packedSize(taps: number, inChannels: number, outChannels: number, bf16: boolean): number
  /** Floats that the transformed weights of a step `winograd` take. */
  winogradPackedSize(temporal: boolean, inChannels: number, outChannels: number): number
  /** Floats of scratch memory that a step `winograd` or `winogradWeightGradient` needs. */
  winogradScratch(step: WinogradSizes & { readonly op: string; readonly threads: number }): number
}

/** A convolution over 1×3×3 (or, `temporal`, 3×1×1) windows at stride 1 whose output is as large as its input. */
export interface WinogradSizes {
  readonly temporal: boolean
  /** [batch, frames, height, width]. */
  readonly extent: readonly number[]
  readonly inChannels: number
  readonly outChannels: number
}

const BUILT = 'native/build/mn_video.node'

/** What an add-on of these sources offers; one built from older ones lacks the newest. */
const OFFERED = [
  ...['instructionSet', 'hasBf16', 'Memory', 'Program', 'packedSize'],
  ...['winogradPackedSize', 'winogradScratch'],
] as const satisfies readonly (keyof Addon)[]

/** The built file beside this package's package.json, wherever this module was compiled to. */
function findBuilt(): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (dirname(folder) !== folder) {
    const path = join(folder, BUILT)
    if (existsSync(path)) return path
    folder = dirname(folder)
  }
  return undefined
}

/** The add-on, or why it cannot be used. */
export function loadAddon(): Addon | { readonly reason: string } {
  const path = findBuilt()
  if (!path) return { reason: 'not built; run: npm run build:native' }
  try {
    const addon = createRequire(import.meta.url)(path) as Addon
    return OFFERED.every((name) => name in addon)
      ? addon
      : { reason: 'built from other sources; run: npm run build:native' }
  } catch (error) {
    return { reason: messageOf(error).split('\n')[0]! }
  }
}
