/** Runs a network on buffers that it takes away meanwhile. node buffer-giver.mjs RUN WAY ROUNDS SEED */
const { loadModel, MnVideoError } = await import(new URL('../../dist/index.js', import.meta.url))

const [run, way, rounds, seed] = process.argv.slice(2)
const model = await loadModel(run)
const { entry } = await model.forBudget({ width: 1 })
const { frames, size } = entry
const BATCH = 256
const length = BATCH * frames * size * size * 3

/** A batch in memory that can be given away, or made smaller. */
function batchOf(Values, round) {
  const bytes = length * Values.BYTES_PER_ELEMENT
  const buffer = way.startsWith('shrink')
    ? new ArrayBuffer(bytes, { maxByteLength: bytes })
    : new ArrayBuffer(bytes)
  const data = new Values(buffer)
  for (let i = 0; i < length; i++) data[i] = (i * 7919 + round * 31) % 251
  return { data, batch: BATCH, frames, height: size, width: size }
}

let state = Number(seed) >>> 0
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return state / 2 ** 32
}

function takeAway({ buffer }) {
  if (way.startsWith('shrink')) buffer.resize(0)
  else structuredClone(buffer, { transfer: [buffer] })
  // What was freed is used for something else.
  globalThis.gc()
  for (let i = 0; i < 4; i++) new Uint8Array(length).fill(255)
}

const counts = { runs: 0, right: 0, refused: 0, wrong: 0 }
const Values = way === 'shrink floats' ? Float32Array : Uint8Array
for (let round = 0; round < Number(rounds); round++) {
  const expected = (await model.run(entry, { clip: batchOf(Values, round) })).scores
  const batch = batchOf(Values, round)
  counts.runs++
  try {
    if (way === 'detach before') takeAway(batch.data)
    const running = model.run(entry, { clip: batch })
    running.catch(() => {})
    if (way !== 'detach before') {
      if (random() < 0.5) await new Promise((resolve) => setTimeout(resolve, random() * 15))
      takeAway(batch.data)
    }
    const { scores } = await running
    if (scores.every((score, i) => score === expected[i])) counts.right++
    else counts.wrong++
  } catch (error) {
    if (!(error instanceof MnVideoError)) throw error
    counts.refused++
  }
}
model.dispose()
console.log(JSON.stringify(counts))
