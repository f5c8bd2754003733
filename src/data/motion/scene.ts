/**
 * Scenes whose class only motion tells: textured shapes on a textured background that move left, right, up or down,
 * turn one way or the other, or grow or shrink.
 *
 * No single frame gives the class away, by construction. Everything a frame shows follows from the shapes' looks,
 * the background, the camera's jitter and noise, which are drawn in the same way for every class, and from the four
 * coordinates of the shapes' common pose at the frame's time: x, y, angle and zoom. Each coordinate lives on a circle
 * (left of the picture comes what went out on the right, out of sight; behind the largest, faded out, comes the
 * smallest, fading in), and at time t is `start + rate · t` around it. A start that is uniform on the circle and
 * independent of all else leaves the coordinate so at every t, whatever the rate; and the rates are all that differs
 * between classes. So a frame, whichever it is, has the same distribution in all of them. Played backwards, a clip is
 * one of the opposite class.
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

/** Lengths are in frame heights, times in seconds, angles in turns (clockwise on the screen). */
export interface Pose {
  readonly x: number
  readonly y: number
  readonly angle: number
  /** From the smallest (0) to the largest (1). */
  readonly zoom: number
}

/** A shape's place relative to the scene's pose. */
export interface Shape extends Pose {
  /** At the largest. */
  readonly radius: number
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
  /** At time 0. */
  readonly start: Pose
  /** Per second. */
  readonly rate: Pose
  readonly shapes: readonly Shape[]
  readonly background: Texture
  readonly shakes: readonly Shake[]
  /** Standard deviation of the noise, in grey levels. */
  readonly noise: number
}

/** Radius of the largest shape of all, and so how far outside the picture shapes pass from one side to the other. */
export const MARGIN = 0.45
/** How many times larger a shape is at zoom 1 than at zoom 0. */
export const ZOOM_RATIO = 3
const STILL: Pose = { x: 0, y: 0, angle: 0, zoom: 0 }
/** Per second, times 0.7 to 1.3. */
const SPEED: Pose = { x: 0.5, y: 0.5, angle: 0.6, zoom: 0.9 }

const DIRECTION: Readonly<Record<MotionClass, Partial<Pose>>> = {
  move_down: { y: 1 },
  move_left: { x: -1 },
  move_right: { x: 1 },
  move_up: { y: -1 },
  turn_clockwise: { angle: 1 },
  turn_counterclockwise: { angle: -1 },
  zoom_in: { zoom: 1 },
  zoom_out: { zoom: -1 },
}

/** Draws a scene. The same generator gives the same scene for every class but for its rate. */
export function drawScene(random: Random, motion: MotionClass, aspect: number): Scene {
  const movement = drawMovement(random, motion, aspect)
  const between = betweenOf(random)
  // A lattice around both circles keeps shapes apart and some in the picture, wherever it starts.
  const count = 11 + 2 * random.integer(2)
  const zoomStep = 1 + random.integer(count - 1)
  const shapes = Array.from({ length: count }, (_, k) => ({
    x: (k / count) * (aspect + 2 * MARGIN),
    y: (((k * 2) % count) / count) * (1 + 2 * MARGIN),
    angle: random.uniform(),
    zoom: ((k * zoomStep) % count) / count,
    radius: MARGIN * between(0.75, 1),
    sprite: drawSprite(random),
  }))
  const shakes = [0, 1].map(() => ({
    x: between(-0.003, 0.003),
    y: between(-0.003, 0.003),
    frequency: between(-2.5, 2.5),
    phase: random.uniform(),
  }))
  return { aspect, ...movement, shapes, background: drawBackground(random), shakes, noise: between(2, 6) }
}

/** Draws where a scene's shapes start, each coordinate evenly around its circle, and how they move. */
export function drawMovement(
  random: Random,
  motion: MotionClass,
  aspect: number,
): Pick<Scene, 'start' | 'rate'> {
  const between = betweenOf(random)
  const start = {
    x: between(0, aspect + 2 * MARGIN),
    y: between(0, 1 + 2 * MARGIN),
    angle: random.uniform(),
    zoom: random.uniform(),
  }
  const speed = between(0.7, 1.3)
  const direction = { ...STILL, ...DIRECTION[motion] }
  const rate = {
    x: direction.x * SPEED.x * speed,
    y: direction.y * SPEED.y * speed,
    angle: direction.angle * SPEED.angle * speed,
    zoom: direction.zoom * SPEED.zoom * speed,
  }
  return { start, rate }
}

const betweenOf = (random: Random) => (low: number, high: number) => low + random.uniform() * (high - low)

/** Where a shape is at a time: x and y of its middle, its angle in turns, its radius, and how opaque it is. */
export interface Placed {
  readonly x: number
  readonly y: number
  readonly angle: number
  readonly radius: number
  readonly opacity: number
}

/** A shape's place in the picture, whose top left corner is 0, 0; the camera's shake not included. */
export function placeShape({ aspect, start, rate }: Scene, shape: Shape, time: number): Placed {
  const zoom = around(start.zoom + rate.zoom * time + shape.zoom, 1)
  return {
    x: around(start.x + rate.x * time + shape.x, aspect + 2 * MARGIN) - MARGIN,
    y: around(start.y + rate.y * time + shape.y, 1 + 2 * MARGIN) - MARGIN,
    angle: around(start.angle + rate.angle * time + shape.angle, 1),
    radius: shape.radius * ZOOM_RATIO ** (zoom - 1),
    opacity: Math.min(1, zoom / 0.1, (1 - zoom) / 0.1),
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

/** The place on a circle. */
const around = (value: number, circumference: number): number =>
  value - circumference * Math.floor(value / circumference)
