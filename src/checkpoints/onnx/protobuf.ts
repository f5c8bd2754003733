/**
 * Writes protocol buffers: just the three kinds of field that ONNX files need. A hundred lines of our own are
 * less to carry than a library and its generated code.
 */

/** An encoded message: its bytes in pieces, so that weights are not copied at every level. */
export class Message {
  readonly #pieces: Uint8Array[] = []
  #length = 0

  /** A whole number (int32, int64, enum). */
  int(field: number, value: number): this {
    return this.#key(field, 0).#varint(value)
  }

  /** A 32-bit float. */
  float(field: number, value: number): this {
    return this.#key(field, 5).#add(new Uint8Array(Float32Array.of(value).buffer))
  }

  /** Text, bytes or a message. */
  bytes(field: number, value: string | Uint8Array | Message): this {
    this.#key(field, 2)
    if (value instanceof Message) {
      this.#varint(value.#length)
      for (const piece of value.#pieces) this.#add(piece)
      return this
    }
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
    return this.#varint(bytes.length).#add(bytes)
  }

  /** All pieces in one. */
  finish(): Uint8Array {
    const all = new Uint8Array(this.#length)
    let position = 0
    for (const piece of this.#pieces) {
      all.set(piece, position)
      position += piece.length
    }
    return all
  }

  #key(field: number, wireType: number): this {
    return this.#varint(field * 8 + wireType)
  }

  #varint(value: number): this {
    const bytes: number[] = []
    let rest = BigInt.asUintN(64, BigInt(value))
    do {
      const low = Number(rest & 127n)
      rest >>= 7n
      bytes.push(rest > 0n ? low | 128 : low)
    } while (rest > 0n)
    return this.#add(Uint8Array.from(bytes))
  }

  #add(bytes: Uint8Array): this {
    this.#pieces.push(bytes)
    this.#length += bytes.length
    return this
  }
}
