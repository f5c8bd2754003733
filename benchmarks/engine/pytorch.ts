/** The other side of the training benchmark: PyTorch, where some python3 here has it (`pytorch.py`). */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Inputs } from '../../src/frames/batch.ts'
import type { SubNetwork } from '../../src/network/resolve.ts'
import type { ParameterStore } from '../../src/network/store.ts'

/** PYTHON, the python3 on PATH, and the system's, which has what Debian's python3-torch installs. */
const CANDIDATES = [process.env.PYTHON, 'python3', '/usr/bin/python3']

const SCRIPT = 'benchmarks/engine/pytorch.py'

/** A python3 that imports torch, or undefined. */
export function findPyTorch(): string | undefined {
  if (!existsSync(SCRIPT)) return undefined
  return CANDIDATES.find((python) => python && spawnSync(python, ['-c', 'import torch']).status === 0)
}

export interface PyTorch {
  /** Loss and logits of the batch with its own statistics, without dropout. */
  check(): Promise<{
    readonly loss: number
    readonly logits: readonly number[]
    readonly version: string
  }>
  /** Milliseconds of a training step. */
  step(): Promise<number>
  close(): void
}

/** Starts PyTorch on a whole network (width 1), its weights and a batch. */
export function startPyTorch(
  python: string,
  subNetwork: SubNetwork,
  weights: ParameterStore,
  inputs: Inputs,
  labels: Int32Array,
  threads: number,
): PyTorch {
  const folder = mkdtempSync(join(tmpdir(), 'mn-video-pytorch-'))
  const parts: Float32Array[] = []
  let floats = 0
  const place = (values: Float32Array, shape: readonly number[]) => {
    const start = floats
    parts.push(values)
    floats += values.length
    return { start, count: values.length, shape }
  }
  const parameters = Object.fromEntries(
    subNetwork.nodes.flatMap((node) =>
      node.parameters.map((slice) => [slice.name, place(weights.gather(slice), slice.shape)]),
    ),
  )
  const frames = Object.fromEntries(
    Object.entries(inputs).map(([name, { data, batch, frames, height, width }]) => [
      name,
      place(Float32Array.from(data), [batch, frames, height, width, 3]),
    ]),
  )
  const { classifier } = subNetwork.network
  const last = subNetwork.nodes.findIndex(({ node }) => node.name === classifier)
  const nodes = subNetwork.nodes
    .slice(0, last + 1)
    .map(({ node, kernel }) => ({ ...node, ...(kernel && { kernel }) }))
  writeFileSync(
    join(folder, 'graph.json'),
    JSON.stringify({ nodes, parameters, inputs: frames, labels: [...labels], classifier }),
  )
  writeFileSync(
    join(folder, 'values.bin'),
    Buffer.concat(
      parts.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
    ),
  )
  const child = spawn(python, [SCRIPT, folder, String(threads)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ask = asker(child)
  return {
    check: async () => (await ask('check')) as Awaited<ReturnType<PyTorch['check']>>,
    step: async () => (await ask('step')) as number,
    close() {
      child.stdin.end()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function asker(child: ChildProcess) {
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const ended = once(child, 'exit')
  return async (question: string): Promise<unknown> => {
    child.stdin!.write(`${question}\n`)
    const answer = await Promise.race([lines.next(), ended.then(() => undefined)])
    if (!answer || answer.done) throw new Error(`${SCRIPT} ended early; its message is above`)
    return JSON.parse(answer.value)
  }
}
