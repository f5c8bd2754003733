#!/usr/bin/env node
// Renders the motion data set (src/data/motion): labelled H.264 clips whose class only motion tells.
//
//   npm run build
//   node data-scripts/make-motion.mjs --out data/motion [--clips 640] [--validation 160] [--size 96x72]
//                                     [--frames 30] [--seed 1]
import { parseArgs } from 'node:util'

const usage =
  'node data-scripts/make-motion.mjs --out DIR [--clips N] [--validation N] [--size WxH] [--frames N] [--seed N]'
const text = { type: 'string' }

try {
  const { makeMotion } = await import('../dist/data/motion/make-motion.js').catch((cause) => {
    throw new Error('the program is not built. Run npm run build first.', { cause })
  })
  const { values } = parseArgs({
    options: { out: text, clips: text, validation: text, size: text, frames: text, seed: text },
  })
  if (!values.out) throw new Error(usage)
  const [width, height] = (values.size ?? '96x72').split('x').map(Number)
  const counts = ['clips', 'validation', 'frames', 'seed'].filter((name) => values[name] !== undefined)
  const made = await makeMotion({
    out: values.out,
    size: { width, height: height ?? Number.NaN },
    ...Object.fromEntries(counts.map((name) => [name, Number(values[name])])),
  })
  console.log(
    `${made.out}: ${made.training} training and ${made.validation} validation clips of ${made.classes.length} classes`,
  )
} catch (error) {
  console.error(`make-motion: ${error.message}`)
  process.exitCode = 1
}
