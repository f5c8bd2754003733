/** The weights of a plan in native memory: laid out by name while steps are written, filled once. */
import type { Addon, NativeMemory, WinogradSizes } from './addon.ts'
import type { Constant } from './program.ts'

interface Entry {
  readonly constant: Constant
  readonly fill: (memory: NativeMemory, start: number) => void
}

export class Constants {
  readonly #addon: Addon
  readonly #entries = new Map<string, Entry>()
  #floats = 0
  #memory: NativeMemory | undefined

  constructor(addon: Addon) {
    this.#addon = addon
  }

  /** Values as they are. The same key gives the same constant. */
  plain(key: string, count: number, values: () => Float32Array): Constant {
    return this.#add(key, count, (memory, start) => memory.write(start, values()))
  }

  /** Weights [taps, in, out] in the order that steps `dense` or (`bf16`) `denseBf16` read them. */
  packed(
    key: string,
    taps: number,
    inChannels: number,
    outChannels: number,
    bf16: boolean,
    values: () => Float32Array,
  ): Constant {
    const count = this.#addon.packedSize(taps, inChannels, outChannels, bf16)
    return this.#add(key, count, (memory, start) =>
      memory.pack(start, values(), taps, inChannels, outChannels, bf16),
    )
  }

  /** Weights [taps, in, out] as steps `winograd` read them. */
  packedWinograd(
    key: string,
    { temporal, inChannels, outChannels }: WinogradSizes,
    values: () => Float32Array,
  ): Constant {
    const count = this.#addon.winogradPackedSize(temporal, inChannels, outChannels)
    return this.#add(key, count, (memory, start) =>
      memory.packWinograd(start, values(), temporal, inChannels, outChannels),
    )
  }

  #add(key: string, count: number, fill: Entry['fill']): Constant {
    const known = this.#entries.get(key)
    if (known) return known.constant
    if (this.#memory) throw new Error(`constant ${key} comes after the constants were filled`)
    const constant: Constant = { kind: 'constant', start: this.#floats, count }
    this.#floats += Math.ceil(count / 16) * 16
    this.#entries.set(key, { constant, fill })
    return constant
  }

  /** The filled memory. */
  memory(): NativeMemory {
    if (!this.#memory) {
      const memory = new this.#addon.Memory(this.#floats + 16)
      for (const { constant, fill } of this.#entries.values()) fill(memory, constant.start)
      this.#memory = memory
    }
    return this.#memory
  }

  get bytes(): number {
    return this.#memory?.bytes ?? 0
  }

  dispose(): void {
    this.#memory?.dispose()
  }
}
