/**
 * From a file to what a network takes in at a configuration: which views are decoded, at what size, and how
 * SlowFast's two inputs are made of one clip.
 */
import type { Config } from '../config/index.ts'
import { resizeFrames } from '../data/resize.ts'
import { hasWholeInput, imageTestClip, videoTestClips } from '../data/views.ts'
import type { FrameBatch, Inputs } from '../engines/engine.ts'
import type { PictureOptions } from '../image/decode.ts'
import type { Configuration, Network } from '../network/graph.ts'
import type { RunOptions } from '../video/ffmpeg.ts'
import { subsampleFrames, type Views } from '../video/sampling.ts'

/**
 * Decodes the views of a video that a configuration is evaluated on, each spatial crop of the first temporal
 * view, then of the next. The clip spans the same time whatever the frame count: fewer frames are a lower
 * frame rate.
 */
export async function decodeVideoViews(
  file: string,
  network: Network,
  config: Config,
  configuration: Configuration,
  views: Views,
  options: RunOptions = {},
): Promise<Inputs[]> {
  const whole = network.frames * config.alpha
  const clips = await videoTestClips(
    file,
    network,
    config,
    {
      size: configuration.size,
      views,
      ...(!hasWholeInput(network) && { take: subsampleFrames(whole, configuration.frames) }),
    },
    options,
  )
  return clips.map((clip) => toInputs(network, configuration, clip))
}

/** Decodes an image as a configuration is evaluated on it: scaled, then the centre crop. */
export async function decodeImageView(
  file: string,
  network: Network,
  config: Config,
  { size }: Configuration,
  options: PictureOptions = {},
): Promise<Inputs> {
  return {
    [network.nodes[0]!.name]: await imageTestClip({ path: file }, network, config, size, options),
  }
}

/** The inputs of a network made from a clip that has all the frames its largest input needs. */
export function toInputs(network: Network, configuration: Configuration, clip: FrameBatch): Inputs {
  return Object.fromEntries(
    network.nodes
      .filter((node) => node.kind === 'input')
      .map((node) => {
        if (node.follows === 'whole') return [node.name, clip]
        const indices = subsampleFrames(clip.frames, configuration.frames)
        return [node.name, resizeFrames(takeFrames(clip, indices), configuration.size)]
      }),
  )
}

/** Some frames of every clip of a batch, in the order given. */
export function takeFrames(clips: FrameBatch, indices: readonly number[]): FrameBatch {
  const { data, batch, frames, height, width } = clips
  if (indices.length === frames && indices.every((index, i) => index === i)) return clips
  const frame = height * width * 3
  const length = batch * indices.length * frame
  const taken = data instanceof Float32Array ? new Float32Array(length) : new Uint8Array(length)
  for (let n = 0; n < batch; n++) {
    indices.forEach((index, i) => {
      const from = (n * frames + index) * frame
      taken.set(data.subarray(from, from + frame), (n * indices.length + i) * frame)
    })
  }
  return { data: taken, batch, frames: indices.length, height, width }
}
