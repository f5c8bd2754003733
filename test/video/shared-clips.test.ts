import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { MnVideoError } from '../../src/errors.ts'
import { decodeClip } from '../../src/video/decode.ts'
import { readFrameIndex } from '../../src/video/frame-index.ts'

/** A collection of real, odd videos beside the repository, with an index of what decoding each must give. */
const folder = new URL('../../../shared/clips/', import.meta.url)
const isThere = existsSync(new URL('index.json', folder))

interface Entry {
  readonly file: string
  readonly probe: {
    readonly codec: string
    readonly avg_frame_rate: string
    readonly rotation: number
    readonly start_time: number
    readonly nb_frames_header: number | null
  } | null
  readonly expected_decode: {
    readonly frames: number
    readonly out_width: number
    readonly out_height: number
    readonly samples: readonly { readonly index: number; readonly mean_rgb: readonly number[] }[]
  }
}

const entries: readonly Entry[] = isThere
  ? JSON.parse(readFileSync(new URL('index.json', folder), 'utf8')).clips
  : [{ file: 'none' }]

describe.skipIf(!isThere)('collected videos', () => {
  it.concurrent.each(entries)(
    '$file gives the frames its index expects',
    async ({ file, probe, expected_decode: expected }) => {
      const path = new URL(file, folder).pathname
      if (!probe) {
        const error = await decodeClip(path, { times: [0] }).catch((caught: unknown) => caught)
        expect(error).toBeInstanceOf(MnVideoError)
        expect((error as Error).message).toMatch(new RegExp(`${file}: no video stream [^\\n]*$`))
        return
      }
      const index = await readFrameIndex(path)
      const { info } = index
      expect(info).toMatchObject({
        codec: probe.codec,
        width: expected.out_width,
        height: expected.out_height,
      })
      expect(info.rotation).toBe((360 - probe.rotation) % 360)
      expect(info.frameCount).toBe(probe.nb_frames_header ?? undefined)
      expect(info.startTime).toBeCloseTo(probe.start_time, 5)
      const [numerator, denominator] = probe.avg_frame_rate.split('/').map(Number)
      expect(info.frameRate).toBeCloseTo(numerator! / denominator!, 6)

      // Asking at the time of every frame that the container lists gives each frame that decodes.
      const shortSide = Math.min(64, info.width, info.height)
      const all = await decodeClip(path, { times: [...index.times], shortSide }, { index })
      const times = [...new Set(all.times)]
      expect(times.length).toBe(expected.frames)

      const { samples } = expected
      const clip = await decodeClip(path, { times: samples.map((sample) => times[sample.index]!) }, { index })
      expect(clip).toMatchObject({ width: expected.out_width, height: expected.out_height })
      samples.forEach((sample, i) => {
        const means = meanColour(clip.data, i, clip.width * clip.height)
        expect(Math.max(...means.map((mean, c) => Math.abs(mean - sample.mean_rgb[c]!)))).toBeLessThan(1)
      })
    },
  )
})

function meanColour(data: Uint8Array, frame: number, pixels: number): number[] {
  const sums = [0, 0, 0]
  for (let i = frame * pixels * 3; i < (frame + 1) * pixels * 3; i++) sums[i % 3]! += data[i]!
  return sums.map((sum) => sum / pixels)
}
