/**
 * Runs one benchmark: `npm run bench -- NAME [options]`. Each says in its own heading what it measures and takes; without
 * a name the names are listed. Nothing else should run meanwhile.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What each measures; those that collect garbage themselves say so. */
const BENCHMARKS: Readonly<Record<string, readonly [module: string, about: string, ...flags: string[]]>> = {
  inference: ['engine/inference.js', 'networks beside ONNX Runtime'],
  training: ['engine/training.js', 'training steps beside inference and PyTorch'],
  kernels: ['engine/kernels.js', "each operation beside the machine's peaks"],
  memory: ['engine/memory.js', 'resident memory over thousands of runs', '--expose-gc'],
  tensorflow: ['engine/tensorflow.js', "the tfjs engine's kernels on TensorFlow"],
  decode: ['video/decode.js', 'random exact clips beside ffmpeg -ss, PyAV and decord'],
  'decode-memory': ['video/decode-memory.js', 'resident memory over thousands of clips'],
  data: ['video/data.js', "the training loader's clips beside FFmpeg alone"],
  deadline: ['streaming/deadline.js', 'a deadline held while other work comes and goes'],
  serve: ['serving/serve.js', 'a server under more than it can do, with switching and without'],
  soak: ['streaming/soak.js', 'a stream whose decoder is killed again and again'],
  throughput: ['training/throughput.js', 'whole training steps from video files'],
}

const [name = '', ...rest] = process.argv.slice(2)
const chosen = BENCHMARKS[name]
if (chosen) {
  const [module, , ...flags] = chosen
  const file = fileURLToPath(new URL(module, import.meta.url))
  const child = spawn(process.execPath, [...flags, file, ...rest], { stdio: 'inherit' })
  child.on('close', (code) => {
    process.exitCode = code ?? 1
  })
} else {
  const names = Object.entries(BENCHMARKS).map(([each, [, about]]) => `  ${each.padEnd(14)} ${about}`)
  console.error(['npm run bench -- NAME [options], of', ...names].join('\n'))
  process.exitCode = 2
}
