/** What scenes are painted with: random shapes and backgrounds as small pictures. */
import type { Random } from '../../network/random.ts'

/** A square picture. */
export interface Texture {
  /** Pixels a side. */
  readonly side: number
  /** RGB bytes of each pixel, and its opacity (255: opaque), row-major [side, side, 4]. */
  readonly data: Uint8Array
}

const SPRITE_SIDE = 48
const BACKGROUND_SIDE = 64

type Colour = readonly [number, number, number]
/** How far along from the first to the second of two colours a point is, 0 to 1. */
type Pattern = (x: number, y: number) => number

/** A shape that fits in the unit circle, filled with a pattern that turning changes. */
export function drawSprite(random: Random): Texture {
  const [first, second] = drawColours(random, 90)
  const isInside = random.integer(3) === 0 ? drawEllipse(random) : drawPolygon(random)
  const pattern = drawPattern(random)
  const data = new Uint8Array(SPRITE_SIDE * SPRITE_SIDE * 4)
  const at = (place: number) => (2 * place) / SPRITE_SIDE - 1
  for (let row = 0; row < SPRITE_SIDE; row++) {
    for (let column = 0; column < SPRITE_SIDE; column++) {
      // Four points of the pixel, so that edges are smooth.
      const [left, right, above, below] = [
        at(column + 0.25),
        at(column + 0.75),
        at(row + 0.25),
        at(row + 0.75),
      ]
      const covered =
        Number(isInside(left, above)) +
        Number(isInside(right, above)) +
        Number(isInside(left, below)) +
        Number(isInside(right, below))
      const share = pattern(at(column + 0.5), at(row + 0.5))
      const target = (row * SPRITE_SIDE + column) * 4
      for (let c = 0; c < 3; c++) data[target + c] = first[c]! + (second[c]! - first[c]!) * share
      data[target + 3] = (covered * 255) / 4
    }
  }
  return { side: SPRITE_SIDE, data }
}

/** Clouds of two colours, coarse ones with finer ones over them. */
export function drawBackground(random: Random): Texture {
  const [first, second] = drawColours(random, 0)
  const side = BACKGROUND_SIDE
  const coarse = drawClouds(random, 3 + random.integer(4))
  const fine = drawClouds(random, 10 + random.integer(15))
  const weight = random.uniform() * 0.5
  const data = new Uint8Array(side * side * 4).fill(255)
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const [x, y] = [column / side, row / side]
      const share = (1 - weight) * coarse(x, y) + weight * fine(x, y)
      const target = (row * side + column) * 4
      for (let c = 0; c < 3; c++) data[target + c] = first[c]! + (second[c]! - first[c]!) * share
    }
  }
  return { side, data }
}

/** Random values on a grid, interpolated between; for x and y in 0..1. */
function drawClouds(random: Random, cells: number): Pattern {
  const grid = Float32Array.from({ length: (cells + 1) ** 2 }, () => random.uniform())
  const at = (row: number, column: number) => grid[row * (cells + 1) + column]!
  return (x, y) => {
    const [column, row] = [Math.floor(x * cells), Math.floor(y * cells)]
    const [right, down] = [x * cells - column, y * cells - row]
    const above = at(row, column) + (at(row, column + 1) - at(row, column)) * right
    const below = at(row + 1, column) + (at(row + 1, column + 1) - at(row + 1, column)) * right
    return above + (below - above) * down
  }
}

/** Two colours whose brightness differs by at least so many grey levels. */
function drawColours(random: Random, contrast: number): readonly [Colour, Colour] {
  const draw = (): Colour => [random.integer(256), random.integer(256), random.integer(256)]
  const luma = ([r, g, b]: Colour) => 0.299 * r + 0.587 * g + 0.114 * b
  for (;;) {
    const [first, second] = [draw(), draw()]
    if (Math.abs(luma(first) - luma(second)) >= contrast) return [first, second]
  }
}

/** A star-shaped polygon of three to six corners. */
function drawPolygon(random: Random): (x: number, y: number) => boolean {
  const count = 3 + random.integer(4)
  const corners = Array.from({ length: count }, (_, k) => {
    const angle = (2 * Math.PI * (k + 0.6 * random.uniform())) / count
    const radius = 0.6 + 0.4 * random.uniform()
    return { x: radius * Math.cos(angle), y: radius * Math.sin(angle) }
  })
  return (x, y) => {
    let isInside = false
    let before = corners.at(-1)!
    for (const corner of corners) {
      const crosses = corner.y > y !== before.y > y
      const crossing = ((before.x - corner.x) * (y - corner.y)) / (before.y - corner.y) + corner.x
      if (crosses && x < crossing) isInside = !isInside
      before = corner
    }
    return isInside
  }
}

function drawEllipse(random: Random): (x: number, y: number) => boolean {
  const ratio = 1 / (0.4 + 0.3 * random.uniform())
  return (x, y) => x * x + (ratio * y) ** 2 < 0.98
}

/** Stripes, squares, a ramp or two halves, in any direction. */
function drawPattern(random: Random): Pattern {
  const angle = 2 * Math.PI * random.uniform()
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)]
  const along: Pattern = (x, y) => cosine * x + sine * y
  const across: Pattern = (x, y) => cosine * y - sine * x
  const bands = 1.2 + 1.3 * random.uniform()
  const wave = (value: number) => 0.5 + 0.5 * Math.max(-1, Math.min(1, 3 * Math.sin(Math.PI * bands * value)))
  const kinds: readonly Pattern[] = [
    (x, y) => wave(along(x, y)),
    (x, y) => Math.abs(wave(along(x, y)) - wave(across(x, y))),
    (x, y) => 0.5 + 0.5 * along(x, y),
    (x, y) => Math.max(0, Math.min(1, 0.5 + 8 * along(x, y))),
  ]
  return kinds[random.integer(kinds.length)]!
}
