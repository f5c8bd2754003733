/** How many views of a video are classified, and how configurations, command lines and files write it: `10x3`. */
import { MnVideoError } from '../errors.ts'

/** Temporal views × spatial crops of each. */
export interface Views {
  readonly temporal: number
  readonly spatial: 1 | 3
}

/** As files write them: 1 to 999 temporal views of 1 or 3 spatial crops. */
export const VIEWS = /^[1-9]\d{0,2}x[13]$/

/** Reads `10x3` as 10 temporal views × 3 spatial crops; `10` alone means one centre crop of each. */
export function parseViews(text: string): Views {
  const [, temporal, spatial = '1'] = /^0*(\d+)(?:[x×](\d+))?$/i.exec(text.trim()) ?? []
  if (!VIEWS.test(`${temporal}x${spatial}`)) {
    throw new MnVideoError(
      'usage',
      `views: '${text}' is not TEMPORALxSPATIAL with 1 to 999 temporal views and 1 or 3 spatial crops. Write for example 10x3 or 1x1.`,
    )
  }
  return { temporal: Number(temporal), spatial: spatial === '3' ? 3 : 1 }
}

/** The one way in which files write views: `10x3`. */
export const formatViews = ({ temporal, spatial }: Views): string => `${temporal}x${spatial}`
