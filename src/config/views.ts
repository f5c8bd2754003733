/** The `views` key taken apart. Where the views lie in a video is decided by the sampling code. */

/** How many clips of a video are classified: uniformly spaced in time, each with 1 or 3 crops. */
export interface Views {
  readonly temporal: number
  readonly spatial: 1 | 3
}

/** The counts in a checked `views` value such as `10x3`. */
export function parseViews(views: string): Views {
  const [temporal, spatial] = views.split('x')
  return { temporal: Number(temporal), spatial: spatial === '3' ? 3 : 1 }
}
