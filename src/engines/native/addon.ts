/** Loads the native add-on and says what it offers; nothing else touches the built file. */
import { createRequire } from 'node:module'
import { messageOf } from '../../errors.ts'
import { findAddon } from './find-addon.ts'
import { OLDEST_GLIBC } from './platforms.ts'

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
  /** Of the program that it was built for. */
  readonly version: string
  /** `avx512`, `avx2` or `portable`. */
  readonly instructionSet: string
  /** Whether the processor multiplies bfloat16 itself. */
  readonly hasBf16: boolean
  /** Numbers of its own that programs are written with. */
  readonly limits: {
    /** Where references to externals begin: that of an external is this less its index. */
    readonly firstExternal: number
    /** Of one run. */
    readonly threads: number
    /** Of one item of a step `multiplyAdds`. */
    readonly multiplyAddsPerItem: number
  }
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

/** What an add-on of these sources offers; one built from older ones lacks the newest. */
const OFFERED = [
  ...['version', 'instructionSet', 'hasBf16', 'Memory', 'Program', 'packedSize'],
  ...['winogradPackedSize', 'winogradScratch'],
] as const satisfies readonly (keyof Addon)[]

/** The add-on, or why it cannot be used, in one line. */
export function loadAddon(): Addon | { readonly reason: string } {
  const found = findAddon()
  if ('reason' in found) return found
  const { path, version, remedy } = found
  try {
    const addon = createRequire(import.meta.url)(path) as Addon
    if (OFFERED.every((name) => name in addon) && addon.version === version) return addon
    return { reason: `${path} is of other sources than version ${version}; ${remedy}` }
  } catch (error) {
    return { reason: `${reasonOfLoader(messageOf(error), path)}; ${remedy}` }
  }
}

/** What the system's loader says, which names the file once, twice or not at all. */
function reasonOfLoader(message: string, path: string): string {
  const [line = ''] = message.split('\n')
  const glibc = /GLIBC_\S+?(?=')/.exec(line)?.[0]
  if (glibc)
    return `this system's C library is too old for it: no ${glibc}, and it needs glibc ${OLDEST_GLIBC} or newer`
  return line.includes(path) ? line : `${path} does not load: ${line}`
}
