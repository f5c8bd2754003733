/**
 * Loads sharp when the first picture is met: videos need none, and where its library does not load (a platform that it
 * has none for, an installation without optional packages) everything else still works.
 */
import type Sharp from 'sharp'
import { MnVideoError, messageOf } from '../errors.ts'

/** @throws MnVideoError 'missing', two lines with the reason and the way to mend it */
export async function loadSharp(): Promise<typeof Sharp> {
  try {
    return (await import('sharp')).default
  } catch (error) {
    // Its first line tells what was tried, the next one, of a library that is there, why it does not load.
    const [first = '', second = ''] = messageOf(error).split('\n')
    const reason = /^[A-Z_]+: /.test(second) ? second : first
    throw new MnVideoError(
      'missing',
      `pictures are read by sharp, which does not load (${reason}).\nRun: npm install sharp --include=optional`,
      { cause: error },
    )
  }
}
