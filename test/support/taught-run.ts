/** A run that tells some films apart: fresh weights whose classifier is set to the films' own features. */
import { decodeVideoViews } from '../../src/inference/inputs-of-file.ts'
import { loadModel } from '../../src/inference/model.ts'
import { inputsOf } from '../../src/network/graph.ts'
import { writeRun } from '../../src/runs/create-run.ts'
import { makeRun } from './small-run.ts'

/** How sure it is of them. */
const MARGIN = 6

/** @param films one for each of the first classes */
export async function makeTaughtRun(folder: string, text: string, films: readonly string[]): Promise<void> {
  const fresh = `${folder}-fresh`
  const { config, table, weights } = await makeRun(fresh, text)
  const model = await loadModel(fresh)
  const { network } = model
  const classifier = network.nodes.findLast(({ kind }) => kind === 'linear')!
  const [before] = inputsOf(classifier) as readonly [string]
  const entry = model.choose({})
  const features: number[][] = []
  for (const film of films) {
    const views = await decodeVideoViews(film, network, config, entry, { temporal: 6, spatial: 1 })
    const sums: number[] = []
    for (const inputs of views) {
      const { data, shape } = (await model.run(entry, inputs, { observe: [before] })).observed.get(before)!
      data.forEach((value, i) => {
        const channel = i % shape.channels
        sums[channel] = (sums[channel] ?? 0) + value
      })
    }
    features.push(sums.map((sum) => sum / views.length))
  }
  model.dispose()
  // A class's logit is MARGIN at its own film, and falls from there towards the others' mean.
  const channels = features[0]!.length
  const mean = features[0]!.map((_, c) => features.reduce((sum, one) => sum + one[c]!, 0) / features.length)
  const weight = weights.values.get(`${classifier.name}.weight`)!.fill(0)
  const bias = weights.values.get(`${classifier.name}.bias`)!.fill(-MARGIN)
  for (const [k, one] of features.entries()) {
    const away = one.map((value, c) => value - mean[c]!)
    const squared = away.reduce((sum, value) => sum + value * value, 0)
    for (let c = 0; c < channels; c++) weight[c * network.classes + k] = (MARGIN * away[c]!) / squared
    bias[k] = -(MARGIN * away.reduce((sum, value, c) => sum + value * mean[c]!, 0)) / squared
  }
  weights.touch()
  await writeRun(folder, { config, table, weights })
}
