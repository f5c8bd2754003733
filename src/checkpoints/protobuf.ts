/**
 * Writes protocol buffers: just the field types that ONNX models and TensorBoard's events have. A message keeps its parts, so that nesting
 * a network's weights four messages deep copies none of them.
 */

const VARINT = 0
const FIXED64 = 1
const DELIMITED = 2
const FIXED32 = 5

export class Message {
  readonly #parts: Uint8Array[] = []
  #length = 0

  /** Bytes of the encoded message. */
  get length(): number {
    return this.#length
  }

  /** The encoded message, in parts that follow one another. */
  get parts(): readonly Uint8Array[] {
    return this.#parts
  }

  /** An integer of at least 0. */
  int(field: number, value: number): this {
    this.#add(varint(field * 8 + VARINT))
    return this.#add(varint(value))
  }

  float(field: number, value: number): this {
    const bytes = Buffer.alloc(4)
    bytes.writeFloatLE(value)
    this.#add(varint(field * 8 + FIXED32))
    return this.#add(bytes)
  }

  double(field: number, value: number): this {
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleLE(value)
    this.#add(varint(field * 8 + FIXED64))
    return this.#add(bytes)
  }

  text(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value))
  }

  bytes(field: number, value: Uint8Array): this {
    this.#add(varint(field * 8 + DELIMITED))
    this.#add(varint(value.length))
    return this.#add(value)
  }

  message(field: number, value: Message): this {
    this.#add(varint(field * 8 + DELIMITED))
    this.#add(varint(value.length))
    for (const part of value.parts) this.#add(part)
    return this
  }

  /** One field for each value. */
  messages(field: number, values: readonly Message[]): this {
    for (const value of values) this.message(field, value)
    return this
  }

  #add(bytes: Uint8Array): this {
    this.#parts.push(bytes)
    this.#length += bytes.length
    return this
  }
}

/** Seven bits a byte, the lowest first. */
function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest >= 128) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return Uint8Array.from(bytes)
}
