/**
 * From a file to what a network takes in at a configuration: which views are decoded, at what size, and how
 * SlowFast's two inputs are made of one clip.
 */
import type { Config } from '../config/index.ts'
import type { Views } from '../config/views.ts'
import { hasWholeInput, imageTestClip, videoTestClips } from '../data/loading/test-clips.ts'
import type { Inputs } from '../frames/batch.ts'
import { toInputs } from '../frames/inputs.ts'
import { subsampleFrames } from '../frames/subsample.ts'
import type { PictureOptions } from '../image/decode.ts'
import { type Configuration, clipFrames, type Network } from '../network/graph.ts'
import type { RunOptions } from '../video/ffmpeg.ts'

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
  const whole = clipFrames(network)
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
