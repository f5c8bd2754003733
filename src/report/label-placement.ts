/**
 * Where the labels of a chart's points go so that nothing lies on anything: each takes the nearest free place
 * around its point, and one that finds none is left out. Everything is in pixels, y downwards.
 */

export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface Segment {
  readonly x1: number
  readonly y1: number
  readonly x2: number
  readonly y2: number
}

/** A label to place: its size, and the point that it belongs to. */
export interface Label {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** Its box, and whether it is so far off its point that a line should lead there. */
export interface Placed extends Box {
  readonly far: boolean
}

export interface Surroundings {
  /** Labels stay inside. */
  readonly bounds: Box
  /** What they must not touch: the marks. */
  readonly marks: readonly Box[]
  /** What they should rather not cross: the curves. */
  readonly lines: readonly Segment[]
}

/** Directions in the order of liking: above left and below right keep off a rising curve. */
const DIRECTIONS: readonly (readonly [number, number])[] = [
  [-1, -1],
  [1, 1],
  [0, -1],
  [0, 1],
  [1, 0],
  [-1, 0],
  [1, -1],
  [-1, 1],
]
/** From a label's edge to its point. */
const DISTANCES = [8, 16, 28, 42]
/** Nearest distance at which it is no longer plain whose label it is. */
const FAR = 16
/** Room kept between labels. */
const MARGIN = 2

/**
 * @param labels those that matter most first: they choose first
 * @returns a place for each label, or undefined
 */
export function placeLabels(
  labels: readonly Label[],
  { bounds, marks, lines }: Surroundings,
): (Placed | undefined)[] {
  const taken: Box[] = []
  const leaders: Segment[] = []
  return labels.map((label) => {
    const own = marks.filter((mark) => contains(mark, label))
    const strangers = marks.filter((mark) => !contains(mark, label))
    let best: { placed: Placed; leader?: Segment; cost: number } | undefined
    for (const [step, distance] of DISTANCES.entries()) {
      for (const [liking, [dx, dy]] of DIRECTIONS.entries()) {
        const box = boxAt(label, dx, dy, distance)
        const room = grown(box, MARGIN)
        if (!inside(box, bounds) || [...taken, ...strangers].some((other) => overlaps(room, other))) continue
        if (own.some((mark) => overlaps(box, mark))) continue
        if (leaders.some((leader) => crosses(leader, room))) continue
        const far = distance >= FAR
        const leader = far ? leaderOf(label, box) : undefined
        if (leader && [...taken, ...strangers].some((other) => crosses(leader, other))) continue
        const cost =
          30 * lines.filter((line) => crosses(line, room)).length +
          (leader ? 6 * lines.filter((line) => meets(line, leader)).length : 0) +
          8 * step +
          0.5 * liking
        if (best && best.cost <= cost) continue
        best = { placed: { ...box, far }, ...(leader && { leader }), cost }
      }
    }
    if (!best) return undefined
    taken.push(best.placed)
    if (best.leader) leaders.push(best.leader)
    return best.placed
  })
}

/** The line from a point to the nearest place on its label. */
export function leaderOf({ x, y }: Pick<Label, 'x' | 'y'>, box: Box): Segment {
  const clamp = (value: number, from: number, to: number) => Math.min(to, Math.max(from, value))
  return { x1: x, y1: y, x2: clamp(x, box.x, box.x + box.width), y2: clamp(y, box.y, box.y + box.height) }
}

export const overlaps = (a: Box, b: Box): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height

function boxAt({ x, y, width, height }: Label, dx: number, dy: number, distance: number): Box {
  // A corner lies as far off diagonally as an edge does straight on.
  const away = dx !== 0 && dy !== 0 ? 0.7 * distance : distance
  const along = (direction: number, length: number) =>
    direction === 0 ? -length / 2 : direction < 0 ? -length - away : away
  return { x: x + along(dx, width), y: y + along(dy, height), width, height }
}

const inside = (box: Box, bounds: Box): boolean =>
  box.x >= bounds.x &&
  box.y >= bounds.y &&
  box.x + box.width <= bounds.x + bounds.width &&
  box.y + box.height <= bounds.y + bounds.height

const contains = (box: Box, { x, y }: Pick<Label, 'x' | 'y'>): boolean =>
  x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height

const grown = ({ x, y, width, height }: Box, by: number): Box => ({
  x: x - by,
  y: y - by,
  width: width + 2 * by,
  height: height + 2 * by,
})

/** Whether a segment passes through a box (Liang and Barsky's clipping). */
export function crosses({ x1, y1, x2, y2 }: Segment, box: Box): boolean {
  let from = 0
  let to = 1
  const clip = (delta: number, start: number, low: number, high: number): boolean => {
    if (delta === 0) return start > low && start < high
    const [enter, leave] = [(low - start) / delta, (high - start) / delta].sort((a, b) => a - b) as [
      number,
      number,
    ]
    from = Math.max(from, enter)
    to = Math.min(to, leave)
    return from < to
  }
  return clip(x2 - x1, x1, box.x, box.x + box.width) && clip(y2 - y1, y1, box.y, box.y + box.height)
}

/** Whether two segments cross. */
function meets(a: Segment, b: Segment): boolean {
  const side = ({ x1, y1, x2, y2 }: Segment, x: number, y: number) =>
    Math.sign((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1))
  return side(a, b.x1, b.y1) * side(a, b.x2, b.y2) < 0 && side(b, a.x1, a.y1) * side(b, a.x2, a.y2) < 0
}
