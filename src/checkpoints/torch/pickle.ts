/**
 * A reader for the pickles that weights files consist of. It is no interpreter of Python: it builds plain
 * data, knows by name the few constructors that PyTorch and NumPy write (`globals.ts`), refuses every other
 * name, and never runs anything. Protocols 2 to 5. Work and memory are bounded by the size of the input.
 */
import type { MnVideoError } from '../../errors.ts'
import { type Budget, GlobalName } from './globals.ts'
import { NumpyArray, NumpyDtype } from './numpy.ts'
import { isDictionary, Tensor } from './values.ts'

export interface PickleOptions {
  /** Makes the error for something wrong, naming the file. */
  readonly fail: (what: string) => MnVideoError
  /** Turns the persistent id of a storage into what a tensor constructor takes; absent where none may occur. */
  readonly persistent?: (id: unknown) => unknown
}

/**
 * Reads one pickle.
 *
 * @returns its value, and where the next byte after it is
 * @throws MnVideoError `weights` when it is damaged, names anything not known to be harmless, or has opcodes
 *   of protocols 0 and 1
 */
export function readPickle(
  bytes: Uint8Array,
  start: number,
  options: PickleOptions,
): { readonly value: unknown; readonly end: number } {
  const machine = new Machine(bytes, start, options)
  return { value: machine.run(), end: machine.at }
}

/** The place on the stack that a MARK opcode leaves. */
const MARK = Symbol('mark')

/** Longest integer; PyTorch's largest is the magic number of 10 bytes. */
const MAX_INTEGER_BYTES = 256

class Machine {
  at: number
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #stack: unknown[] = []
  readonly #memo = new Map<number, unknown>()
  readonly #options: PickleOptions
  /** Bytes that constructors may still make: a reused string must not be copied without end. */
  readonly #budget: Budget

  constructor(bytes: Uint8Array, start: number, options: PickleOptions) {
    this.at = start
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#options = options
    this.#budget = { left: 4 * (bytes.length - start) + 2 ** 20 }
  }

  run(): unknown {
    if (this.#bytes[this.at] !== 0x80) throw this.#fail('has no pickle of protocol 2 or newer')
    for (;;) {
      const opcode = this.#byte()
      if (opcode === 0x2e) break // STOP
      this.#step(opcode)
    }
    const value = this.#pop()
    if (this.#stack.length !== 0) throw this.#fail('a pickle ends with values left over')
    return value
  }

  #step(opcode: number): void {
    const stack = this.#stack
    switch (opcode) {
      case 0x80: {
        const protocol = this.#byte() // PROTO
        if (protocol < 2 || protocol > 5)
          throw this.#fail(`is a pickle of protocol ${protocol}; 2 to 5 can be read`)
        return
      }
      case 0x95: // FRAME
        if (this.#length(8) > this.#bytes.length - this.at) throw this.#short()
        return
      case 0x28: // MARK
        stack.push(MARK)
        return
      case 0x30: // POP
        if (stack.pop() === undefined) throw this.#fail('a pickle takes more values than it has')
        return
      case 0x31: // POP_MARK
        this.#sinceMark()
        return
      case 0x32: // DUP
        stack.push(this.#top())
        return

      case 0x4e: // NONE
        stack.push(null)
        return
      case 0x88: // NEWTRUE
        stack.push(true)
        return
      case 0x89: // NEWFALSE
        stack.push(false)
        return
      case 0x4b: // BININT1
        stack.push(this.#byte())
        return
      case 0x4d: // BININT2
        stack.push(this.#number(2, (at) => this.#view.getUint16(at, true)))
        return
      case 0x4a: // BININT
        stack.push(this.#number(4, (at) => this.#view.getInt32(at, true)))
        return
      case 0x47: // BINFLOAT
        stack.push(this.#number(8, (at) => this.#view.getFloat64(at, false)))
        return
      case 0x8a: // LONG1
        stack.push(this.#integer(this.#length(1)))
        return
      case 0x8b: // LONG4
        stack.push(this.#integer(this.#length(4)))
        return

      // Text of Python 2 is bytes; NumPy's data in such pickles rely on every byte being one character.
      case 0x55: // SHORT_BINSTRING
        stack.push(latin1(this.#take(this.#length(1))))
        return
      case 0x54: // BINSTRING
        stack.push(latin1(this.#take(this.#length(4))))
        return
      case 0x8c: // SHORT_BINUNICODE
        stack.push(this.#text(this.#length(1)))
        return
      case 0x58: // BINUNICODE
        stack.push(this.#text(this.#length(4)))
        return
      case 0x8d: // BINUNICODE8
        stack.push(this.#text(this.#length(8)))
        return
      case 0x43: // SHORT_BINBYTES
        stack.push(this.#take(this.#length(1)))
        return
      case 0x42: // BINBYTES
        stack.push(this.#take(this.#length(4)))
        return
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        stack.push(this.#take(this.#length(8)))
        return

      case 0x29: // EMPTY_TUPLE
      case 0x5d: // EMPTY_LIST
      case 0x8f: // EMPTY_SET
        stack.push([])
        return
      case 0x85: // TUPLE1
        stack.push([this.#pop()])
        return
      case 0x86: {
        const b = this.#pop() // TUPLE2
        stack.push([this.#pop(), b])
        return
      }
      case 0x87: {
        const c = this.#pop() // TUPLE3
        const b = this.#pop()
        stack.push([this.#pop(), b, c])
        return
      }
      case 0x74: // TUPLE
      case 0x91: // FROZENSET
        stack.push(this.#sinceMark())
        return
      case 0x7d: // EMPTY_DICT
        stack.push(new Map())
        return
      case 0x61: {
        const item = this.#pop() // APPEND
        this.#array('APPEND').push(item)
        return
      }
      case 0x65: // APPENDS
      case 0x90: {
        const items = this.#sinceMark() // ADDITEMS
        const target = this.#array('APPENDS')
        for (const item of items) target.push(item)
        return
      }
      case 0x73: {
        const value = this.#pop() // SETITEM
        this.#setItems([this.#pop(), value])
        return
      }
      case 0x75: // SETITEMS
        this.#setItems(this.#sinceMark())
        return

      case 0x71: // BINPUT
        this.#memo.set(this.#byte(), this.#top())
        return
      case 0x72: // LONG_BINPUT
        this.#memo.set(this.#length(4), this.#top())
        return
      case 0x94: // MEMOIZE
        this.#memo.set(this.#memo.size, this.#top())
        return
      case 0x68: // BINGET
        stack.push(this.#recall(this.#byte()))
        return
      case 0x6a: // LONG_BINGET
        stack.push(this.#recall(this.#length(4)))
        return

      case 0x63: {
        const module = this.#line() // GLOBAL
        stack.push(new GlobalName(module, this.#line(), this.#options.fail))
        return
      }
      case 0x93: {
        const name = this.#pop() // STACK_GLOBAL
        const module = this.#pop()
        if (typeof module !== 'string' || typeof name !== 'string') throw this.#fail('a global has no name')
        stack.push(new GlobalName(module, name, this.#options.fail))
        return
      }
      case 0x52: // REDUCE
      case 0x81: {
        const args = this.#pop() // NEWOBJ
        const callable = this.#pop()
        if (!(callable instanceof GlobalName) || !Array.isArray(args)) {
          throw this.#fail('a pickle calls something that is no constructor')
        }
        stack.push(callable.construct(args, this.#options.fail, this.#budget))
        return
      }
      case 0x62: {
        const state = this.#pop() // BUILD
        const target = this.#top()
        if (target instanceof NumpyArray || target instanceof NumpyDtype)
          target.setState(state, this.#options.fail, this.#budget)
        // The attributes of an ordered dictionary (a state dict's `_metadata`) or of a tensor say nothing about weights.
        else if (!isDictionary(target) && !(target instanceof Tensor)) {
          throw this.#fail('a pickle sets the state of something that has none')
        }
        return
      }
      case 0x51: {
        const id = this.#pop() // BINPERSID
        if (!this.#options.persistent) throw this.#fail('a pickle refers to storages where there are none')
        stack.push(this.#options.persistent(id))
        return
      }
      default: {
        const hex = opcode.toString(16).padStart(2, '0')
        throw this.#fail(`pickle opcode 0x${hex} at byte ${this.at - 1} is not one that weights files have`)
      }
    }
  }

  #byte(): number {
    if (this.at >= this.#bytes.length) throw this.#short()
    return this.#bytes[this.at++]!
  }

  #take(count: number): Uint8Array {
    if (count > this.#bytes.length - this.at) throw this.#short()
    this.at += count
    return this.#bytes.subarray(this.at - count, this.at)
  }

  #number(count: number, read: (at: number) => number): number {
    if (count > this.#bytes.length - this.at) throw this.#short()
    this.at += count
    return read(this.at - count)
  }

  /** An unsigned length or index of 1, 4 or 8 bytes. */
  #length(count: 1 | 4 | 8): number {
    if (count === 1) return this.#byte()
    if (count === 4) return this.#number(4, (at) => this.#view.getUint32(at, true))
    return this.#number(8, (at) => Number(this.#view.getBigUint64(at, true)))
  }

  /** A little-endian integer in two's complement; a bigint only where a double would lose digits. */
  #integer(count: number): number | bigint {
    if (count > MAX_INTEGER_BYTES) throw this.#fail(`has an integer of ${count} bytes`)
    const bytes = this.#take(count)
    if (count === 0) return 0
    const unsigned = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
    const value = BigInt.asIntN(8 * count, unsigned)
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }

  #text(length: number): string {
    const bytes = this.#take(length)
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      throw this.#fail(`has text that is not UTF-8 at byte ${this.at - length}`)
    }
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.at)
    if (end < 0 || end - this.at > MAX_INTEGER_BYTES)
      throw this.#fail(`has a name without end at byte ${this.at}`)
    const text = this.#text(end - this.at)
    this.at++
    return text
  }

  #pop(): unknown {
    const value = this.#stack.pop()
    if (value === undefined || value === MARK) throw this.#fail('a pickle takes more values than it has')
    return value
  }

  #top(): unknown {
    const value = this.#stack.at(-1)
    if (value === undefined || value === MARK) throw this.#fail('a pickle takes more values than it has')
    return value
  }

  #sinceMark(): unknown[] {
    const mark = this.#stack.lastIndexOf(MARK)
    if (mark < 0) throw this.#fail('a pickle takes more values than it has')
    const items = this.#stack.splice(mark)
    items.shift()
    return items
  }

  #array(opcode: string): unknown[] {
    const target = this.#top()
    if (!Array.isArray(target)) throw this.#fail(`${opcode} onto something that is no list`)
    return target
  }

  #setItems(items: readonly unknown[]): void {
    const target = this.#top()
    if (!(target instanceof Map) || items.length % 2 !== 0)
      throw this.#fail('sets items of what is no dictionary')
    for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1])
  }

  #recall(index: number): unknown {
    const value = this.#memo.get(index)
    if (value === undefined) throw this.#fail(`a pickle refers to value ${index}, which it never kept`)
    return value
  }

  #fail(what: string): MnVideoError {
    return this.#options.fail(what)
  }

  #short(): MnVideoError {
    return this.#fail(`ends in the middle of a pickle (byte ${this.at} of ${this.#bytes.length})`)
  }
}

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
