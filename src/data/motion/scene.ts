/**
 * Scenes whose class only motion tells: textured shapes over a textured sky, past which the camera moves so that the
 * picture goes left, right, up or down, turns one way or the other about its middle, or is zoomed into or out of.
 *
 * No single frame gives the class away, by construction. The shapes are a Poisson process over places in the plane,
 * angles and sizes with the density dx · dy · da · ρ^(-2z) dz, z being the logarithm of the size to the base ρ. That
 * measure stays the same when everything is moved, turned, or scaled (x → ρ^d · x, z → z + d), so the process, moved
 * along for any time, has the law it had; and the shapes of it that a frame shows, those from the smallest size
 * to the largest, fading at both ends, look alike in all classes. (Pictures made so are known as scale-invariant dead
 * leaves: Lee, Mumford, Huang, "Occlusion models for natural images", IJCV 2001.) All else, the sky, the camera's
 * shake and noise, is drawn in the same way for every class. Played backwards, a clip is one of the opposite class.
 */
import type { Random } from '../../network/random.ts'
import { drawBackground, drawSprite, type Texture } from './textures.ts'

/** The classes in label order: sorted by name, as those of class folders are. */
export const MOTION_CLASSES = [
  'move_down',
  'move_left',
  'move_right',
  'move_up',
  'turn_clockwise',
  'turn_counterclockwise',
  'zoom_in',
  'zoom_out',
] as const
export type MotionClass = (typeof MOTION_CLASSES)[number]

/**
 * Lengths are in frame heights from the middle of the picture, right and down; times in seconds; angles in turns,
 * clockwise on the screen.
 */
export interface Pose {
  readonly x: number
  readonly y: number
  readonly angle: number
  /** From the smallest size that is seen (0) to the largest (1). */
  readonly zoom: number
}

/** A shape's pose at the beginning of the movement. */
export interface Shape extends Pose {
  readonly sprite: Texture
}

/** One part of the camera's shake: a sine, along both axes. */
export interface Shake {
  readonly x: number
  readonly y: number
  /** Cycles a second, and the phase in cycles. */
  readonly frequency: number
  readonly phase: number
}

export interface Scene {
  /** Width : height of the picture. */
  readonly aspect: number
  readonly seconds: number
  /** Per second, none negative: what goes the other way is shown from its end. */
  readonly rate: Pose
  readonly isBackwards: boolean
  /** Those that may come into the picture, the farthest first. */
  readonly shapes: readonly Shape[]
  readonly background: Texture
  readonly shakes: readonly Shake[]
  /** Standard deviation of the noise, in grey levels. */
  readonly noise: number
}

/** Radius of the largest shapes. */
export const LARGEST = 0.3
/** How many times larger a shape is at zoom 1 than at zoom 0. */
export const ZOOM_RATIO = 4
/** How often the shapes' discs would cover the picture, did they not overlap. */
const COVER = 1.5
/** The number of shapes per unit of area and zoom, at zoom 0. */
const DENSITY = (COVER * ZOOM_RATIO ** 2) / (Math.PI * LARGEST ** 2)
/** Different looks in a scene. */
const SPRITES = 12
const STILL: Pose = { x: 0, y: 0, angle: 0, zoom: 0 }
/** Per second, times 0.3 to 1.3. */
const SPEED: Pose = { x: 0.5, y: 0.5, angle: 0.25, zoom: 0.8 }

const DIRECTION: Readonly<Record<MotionClass, readonly [keyof Pose, 'forwards' | 'backwards']>> = {
  move_down: ['y', 'forwards'],
  move_left: ['x', 'backwards'],
  move_right: ['x', 'forwards'],
  move_up: ['y', 'backwards'],
  turn_clockwise: ['angle', 'forwards'],
  turn_counterclockwise: ['angle', 'backwards'],
  zoom_in: ['zoom', 'forwards'],
  zoom_out: ['zoom', 'backwards'],
}

/**
 * Draws a scene. The same generator gives a class and its opposite the same scene, shown from its other end.
 *
 * @param motion undefined for one in which nothing moves but the camera's hand
 */
export function drawScene(
  random: Random,
  motion: MotionClass | undefined,
  aspect: number,
  seconds: number,
): Scene {
  const between = (low: number, high: number) => low + random.uniform() * (high - low)
  const [along, direction] = motion === undefined ? [] : DIRECTION[motion]
  const speed = between(0.3, 1.3)
  const rate = along === undefined ? STILL : { ...STILL, [along]: SPEED[along] * speed }
  const sprites = Array.from({ length: SPRITES }, () => drawSprite(random))
  const background = drawBackground(random)
  const shakes = [0, 1].map(() => ({
    x: between(-0.005, 0.005),
    y: between(-0.005, 0.005),
    frequency: between(-2.5, 2.5),
    phase: random.uniform(),
  }))

  // Around the picture, as far as its corners go when it turns; and what travels in from the left and from above.
  const diagonal = Math.hypot(aspect, 1)
  const [right, bottom] = (rate.angle > 0 ? [diagonal, diagonal] : [aspect, 1]).map(
    (side) => side / 2 + LARGEST,
  ) as [number, number]
  const [left, top] = [-right - rate.x * seconds, -bottom - rate.y * seconds]
  const area = (right - left) * (bottom - top)
  const drawShape = (zoom: number) => {
    // One that is not large enough to be seen yet lies where scaling moves it in from.
    const scale = ZOOM_RATIO ** Math.min(0, zoom)
    return {
      x: between(left, right) * scale,
      y: between(top, bottom) * scale,
      angle: random.uniform(),
      zoom,
      sprite: sprites[random.integer(SPRITES)]!,
    }
  }
  const largestShare = ZOOM_RATIO ** -2
  const twice = 2 * Math.log(ZOOM_RATIO)
  const seen = drawPoisson(random, (area * DENSITY * (1 - largestShare)) / twice)
  const coming = drawPoisson(random, area * DENSITY * rate.zoom * seconds)
  const shapes = shuffled(random, [
    ...Array.from({ length: seen }, () =>
      drawShape(-Math.log(1 - random.uniform() * (1 - largestShare)) / twice),
    ),
    ...Array.from({ length: coming }, () => drawShape(-random.uniform() * rate.zoom * seconds)),
  ])
  const isBackwards = direction === 'backwards'
  return { aspect, seconds, rate, isBackwards, shapes, background, shakes, noise: between(2, 8) }
}

/** How many events there are where so many are expected: those of rate 1 before that time. */
function drawPoisson(random: Random, mean: number): number {
  let count = -1
  for (let time = 0; time < mean; count++) time -= Math.log(1 - random.uniform())
  return Math.max(0, count)
}

function shuffled<Item>(random: Random, items: readonly Item[]): Item[] {
  const drawn = [...items]
  for (let last = drawn.length - 1; last > 0; last--) {
    const other = random.integer(last + 1)
    ;[drawn[last], drawn[other]] = [drawn[other]!, drawn[last]!]
  }
  return drawn
}

/** Where a shape is at a time: x and y of its middle, its angle in turns, its radius, and how opaque it is. */
export interface Placed {
  readonly x: number
  readonly y: number
  readonly angle: number
  readonly radius: number
  readonly opacity: number
}

/** A shape's place in the picture, whose top left corner is 0, 0; the camera's shake not included. */
export function placeShape(scene: Scene, shape: Shape, time: number): Placed {
  const { aspect, rate } = scene
  const elapsed = scene.isBackwards ? scene.seconds - time : time
  const turned = rate.angle * elapsed
  const scale = ZOOM_RATIO ** (rate.zoom * elapsed)
  const [cosine, sine] = [Math.cos(2 * Math.PI * turned) * scale, Math.sin(2 * Math.PI * turned) * scale]
  const zoom = shape.zoom + rate.zoom * elapsed
  return {
    x: aspect / 2 + cosine * shape.x - sine * shape.y + rate.x * elapsed,
    y: 1 / 2 + sine * shape.x + cosine * shape.y + rate.y * elapsed,
    angle: shape.angle + turned,
    radius: LARGEST * ZOOM_RATIO ** (zoom - 1),
    opacity: Math.max(0, Math.min(1, zoom / 0.1, (1 - zoom) / 0.1)),
  }
}

/** How far the camera's shake moves the picture at a time. */
export function shakeAt({ shakes }: Scene, time: number): { readonly x: number; readonly y: number } {
  let [x, y] = [0, 0]
  for (const shake of shakes) {
    const wave = Math.sin(2 * Math.PI * (shake.frequency * time + shake.phase))
    x += shake.x * wave
    y += shake.y * wave
  }
  return { x, y }
}
