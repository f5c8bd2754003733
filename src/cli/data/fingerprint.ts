/** A fingerprint as a few lines of text. */
import type { Fingerprint } from '../../data/curation/fingerprint.ts'
import { duration } from '../status-line.ts'
import { thousands } from '../table.ts'

export function fingerprintLines(print: Fingerprint): string[] {
  const { seconds, sizes, codecs } = print
  const counted = (counts: Readonly<Record<string, number>>, most: number) =>
    Object.entries(counts)
      .slice(0, most)
      .map(([what, count]) => `${what} × ${thousands(count)}`)
      .join(', ') + (Object.keys(counts).length > most ? ', …' : '')
  return [
    `fingerprint  ${thousands(print.files)} files, ${thousands(print.classes)} classes, sha256 ${print.sha256.slice(0, 16)}…`,
    ...(seconds && seconds.total > 0
      ? [
          `durations    ${duration(seconds.total)} in all; shortest ${seconds.shortest} s, median ${seconds.median} s, longest ${seconds.longest} s`,
        ]
      : []),
    ...(sizes ? [`sizes        ${counted(sizes, 4)}`] : []),
    ...(codecs ? [`codecs       ${counted(codecs, 4)}`] : []),
  ]
}
