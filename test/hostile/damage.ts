/** Seeded damage: what disks, networks, editors and ill will do to files. */
import type { Random } from '../../src/network/random.ts'

const of = <T>(random: Random, choices: readonly T[]): T => choices[random.integer(choices.length)]!

/** One to three injuries of bytes; half of them near the start, where formats keep what they count with. */
export function damageBytes(whole: Buffer, random: Random): Buffer {
  let bytes: Buffer = Buffer.from(whole)
  for (let left = 1 + random.integer(3); left > 0; left--) bytes = of(random, BYTES)(bytes, random)
  return bytes
}

type Injury<T> = (value: T, random: Random) => T

function placeIn({ length }: Buffer, random: Random): number {
  return random.integer(Math.max(1, random.uniform() < 0.5 ? Math.min(length, 512) : length))
}
const spanOf = ({ length }: Buffer, random: Random): number =>
  Math.min(length, 1 + random.integer(of(random, [4, 64, 4096])))

const BYTES: readonly Injury<Buffer>[] = [
  (bytes, random) => bytes.subarray(0, placeIn(bytes, random)),
  (bytes, random) => bytes.subarray(0, random.integer(bytes.length + 1)),
  (bytes, random) => {
    for (let flips = 1 + random.integer(20); flips > 0 && bytes.length > 0; flips--) {
      const place = placeIn(bytes, random)
      bytes[place] = bytes[place]! ^ (1 << random.integer(8))
    }
    return bytes
  },
  (bytes, random) => {
    const start = placeIn(bytes, random)
    return bytes.fill(
      of(random, [0, 0xff, 0x7f, 0x80, 0x0a]),
      start,
      Math.min(bytes.length, start + spanOf(bytes, random)),
    )
  },
  (bytes, random) => {
    const start = placeIn(bytes, random)
    for (let i = start; i < Math.min(bytes.length, start + spanOf(bytes, random)); i++) {
      bytes[i] = random.integer(256)
    }
    return bytes
  },
  // A large or negative count, in either order of bytes.
  (bytes, random) => {
    if (bytes.length < 8) return bytes
    const place = Math.min(bytes.length - 8, placeIn(bytes, random))
    const value = of(random, [0xffffffff, 0x7fffffff, 0x80000000, 0x00ffffff, 0])
    if (random.uniform() < 0.5) bytes.writeUInt32LE(value, place)
    else bytes.writeUInt32BE(value, place)
    return bytes
  },
  (bytes, random) => {
    const start = placeIn(bytes, random)
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(start + spanOf(bytes, random))])
  },
  (bytes, random) => {
    const start = placeIn(bytes, random)
    const again = bytes.subarray(start, start + spanOf(bytes, random))
    return Buffer.concat([bytes.subarray(0, start), again, bytes.subarray(start)])
  },
  (bytes, random) => Buffer.concat([bytes, bytes.subarray(random.integer(bytes.length + 1))]),
]

/** One to three injuries of text: other values, lost, doubled, swapped and foreign parts; now and then bytes. */
export function damageText(whole: string, random: Random): Buffer {
  if (random.uniform() < 0.2) return damageBytes(Buffer.from(whole), random)
  let text = whole
  for (let left = 1 + random.integer(3); left > 0; left--) text = of(random, TEXTS)(text, random)
  return Buffer.from(text)
}

const VALUES = [
  ...['0', '-1', '1', '0.5', '1e9', '1e308', '-1e308', '1e-300', '9007199254740993', '4294967296', '65536'],
  ...['NaN', '.nan', '.inf', '-.inf', 'Infinity', 'null', '~', 'true', '""', "'x'", '[]', '{}', '[1, 2, 3]'],
  ...[
    '[[[[1]]]]',
    '{a: 1}',
    '!!binary x',
    '&a [*a]',
    '../../etc/passwd',
    'é\u0000\u202e',
    '-',
    '1:2:3',
    '0x10',
  ],
]
const NUMBER = /-?\d+(?:\.\d+)?(?:e-?\d+)?/g

function replaceOne(text: string, pattern: RegExp, random: Random, by: string): string {
  const found = [...text.matchAll(pattern)]
  if (found.length === 0) return text + by
  const { index, 0: match } = of(random, found)
  return text.slice(0, index) + by + text.slice(index + match.length)
}

const TEXTS: readonly Injury<string>[] = [
  (text, random) => replaceOne(text, NUMBER, random, of(random, VALUES)),
  (text, random) => replaceOne(text, NUMBER, random, of(random, VALUES)),
  (text, random) => replaceOne(text, NUMBER, random, String(Math.round(10 ** (random.uniform() * 16)))),
  (text, random) => replaceOne(text, /(?<=[:=,] ?)[^,:\n]+/g, random, of(random, VALUES)),
  (text, random) =>
    replaceOne(text, /\w+/g, random, of(random, ['', 'x', '__proto__', 'constructor', '%s', '\t'])),
  (text, random) =>
    replaceOne(text, /[^\w\s]/g, random, of(random, ['', '{', '}', '[', ']', '"', ':', ',', '\n', '#'])),
  (text, random) => replaceOne(text, /.*\n/g, random, ''),
  (text, random) => {
    const lines = text.split('\n')
    lines.splice(random.integer(lines.length), 0, of(random, lines))
    return lines.join('\n')
  },
  (text, random) => text.slice(0, random.integer(text.length + 1)),
  (text, random) =>
    `${text}${of(
      random,
      ['[', '{"a":'].map((part) => part.repeat(5000)),
    )}`,
  (text) => `\uFEFF${text.replaceAll('\n', '\r\n')}`,
]
