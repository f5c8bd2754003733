/** Numbers as people read them. */
import type { ConfigurationJson } from '../api.ts'

export const percent = (share: number, digits = 0): string => `${(100 * share).toFixed(digits)} %`

/** `4.73 GFLOPs`, `569 MFLOPs`: three significant digits. */
export function cost(gflops: number): string {
  const [value, unit] = gflops >= 1 ? [gflops, 'GFLOPs'] : [1000 * gflops, 'MFLOPs']
  return `${Number(value.toPrecision(3))} ${unit}`
}

export const milliseconds = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`

/** `1 × 8 × 48`: width × frames × size. */
export const shape = ({ width, frames, size }: ConfigurationJson): string => `${width} × ${frames} × ${size}`

export const accuracyOf = ({ top1, map }: ConfigurationJson): number | undefined => top1 ?? map

export const isSame = (a: ConfigurationJson | undefined, b: ConfigurationJson): boolean =>
  a !== undefined && a.width === b.width && a.frames === b.frames && a.size === b.size

/** `1:02.5`. */
export function clock(seconds: number): string {
  const tenths = Math.round(10 * seconds)
  const rest = (tenths % 600) / 10
  return `${Math.floor(tenths / 600)}:${rest < 10 ? '0' : ''}${rest.toFixed(1)}`
}

/** What a configuration costs and is worth, in a line. */
export function worth(one: ConfigurationJson): string {
  const accuracy = accuracyOf(one)
  return [
    cost(one.gflops),
    ...(accuracy === undefined
      ? []
      : [`${percent(accuracy, 1)} ${one.top1 === undefined ? 'mAP' : 'top-1'} expected`]),
    ...(one.latency_ms === undefined ? [] : [`${milliseconds(one.latency_ms)} here`]),
  ].join(', ')
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
