/** From a clip that has all the frames to what each input of a network sees of it. */
import type { Configuration, Network } from '../network/graph.ts'
import type { FrameBatch, Inputs } from './batch.ts'
import { resizeFrames } from './resize.ts'
import { subsampleFrames } from './subsample.ts'

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
