/**
 * A process that takes damaged input in, one file after the other, and says what came of it: so that a crash is the
 * taker's and not the campaign's.
 */
const at = (path) => import(new URL(`../../dist/${path}`, import.meta.url))
const { loadConfig } = await at('config/index.js')
const { buildNetwork } = await at('models/index.js')
const { fullConfiguration, resolve } = await at('network/resolve.js')
const { findTable, readRun, readStatistics, readWeightedRun } = await at('runs/run-folder.js')
const { readSweep } = await at('runs/sweep-results.js')
const { readLog } = await at('runs/log.js')
const { readLatencies } = await at('runs/latency.js')
const { readWeightsFile } = await at('checkpoints/weights-file.js')
const { checkpointSteps, checkpointFile, readCheckpoint } = await at('training/checkpoint.js')
const { readListOf, readListText } = await at('data/sets/lists.js')
const { decodeClip } = await at('video/decode.js')
const { decodeImage } = await at('image/decode.js')

const CLIP = { times: { frames: 5, stride: 2 }, shortSide: 24 }

/** What is wrong with a clip; undefined where nothing is. */
function wrongClip({ data, frames, height, width, times }, count) {
  if (frames !== count || data.length !== frames * height * width * 3 || times.length !== count)
    return 'its shape'
  return times.some((time, i) => !Number.isFinite(time) || (i > 0 && time < times[i - 1]))
    ? 'its times'
    : undefined
}
const wrongNumbers = (arrays) =>
  arrays.some((values) => values.some((value) => typeof value === 'number' && Number.isNaN(value)))
    ? 'NaN'
    : undefined

/** By kind: takes a path in; answers what is wrong with what it gave. */
const TAKE = {
  async config(path) {
    const network = buildNetwork(await loadConfig(path))
    const { macs } = resolve(network, fullConfiguration(network))
    return macs > 0 && Number.isSafeInteger(macs) ? undefined : `it costs ${macs}`
  },
  async table(folder) {
    const { network } = await readWeightedRun(folder)
    const { entries } = await findTable(folder, network)
    return entries.some(({ top1 = 0 }) => !(top1 >= 0 && top1 <= 1)) ? 'an accuracy' : undefined
  },
  async run(folder) {
    const run = await readRun(folder)
    await readStatistics(run, run.table.entries[0])
  },
  async results(folder) {
    const results = await readSweep(folder)
    return results.some(({ top1 }) => !(top1 >= 0 && top1 <= 1)) ? 'an accuracy' : undefined
  },
  async log(folder) {
    await readLog(folder)
  },
  async latencies(folder) {
    for (const { median } of (await readLatencies(folder, 'here')).values())
      if (!(median > 0)) return 'a latency'
  },
  async checkpoint(folder) {
    const { network } = await readWeightedRun(folder)
    const [step] = await checkpointSteps(folder)
    await readCheckpoint(checkpointFile(folder, step), network)
  },
  async weights(path) {
    const { tensors } = await readWeightsFile(path)
    for (const { shape } of tensors.values()) if (shape.some((side) => !(side >= 0))) return 'a shape'
  },
  async list(path) {
    return wrongNumbers([readListOf(await readListText(path), path).flatMap(({ label }) => label)])
  },
  async video(path) {
    return wrongClip(await decodeClip(path, CLIP), 5)
  },
  async picture(path) {
    return wrongClip(await decodeImage(path), 1)
  },
}

process.on('message', async ({ kind, path }) => {
  try {
    const wrong = await TAKE[kind](path)
    process.send(wrong === undefined ? { answered: true } : { wrong })
  } catch (error) {
    process.send({
      error: { name: error?.name, message: String(error?.message), stack: String(error?.stack) },
    })
  }
})
process.send('ready')
