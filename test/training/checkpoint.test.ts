import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/index.ts'
import { buildNetwork } from '../../src/models/index.ts'
import { initialise } from '../../src/network/initialise.ts'
import {
  checkpointFile,
  checkpointSteps,
  pruneCheckpoints,
  readCheckpoint,
  writeCheckpoint,
} from '../../src/training/checkpoint.ts'
import { SMALL_MOBILENET, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

const network = buildNetwork(parseConfig(SMALL_MOBILENET, 'small.yml'))
const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) =>
  Buffer.from(buffer, byteOffset, byteLength)
const checkpointAt = (step: number) => ({
  progress: { step, seconds: 1.5, best: { step: 2, top1: 0.5 } },
  weights: initialise(network, 1),
  velocities: initialise(network, 2).values,
  average: initialise(network, 3).values,
})

describe('checkpoints', () => {
  it('read back as they were written', async () => {
    const folder = await temporaryFolder()
    const written = checkpointAt(12)
    const path = await writeCheckpoint(folder, network, written)
    expect(path).toBe(join(folder, 'checkpoint-000012.safetensors'))
    const read = await readCheckpoint(path, network)
    expect(read.progress).toEqual(written.progress)
    for (const [name, values] of written.weights.values) {
      expect(bytes(read.weights.values.get(name)!).equals(bytes(values)), name).toBe(true)
      expect(bytes(read.velocities.get(name)!).equals(bytes(written.velocities.get(name)!)), name).toBe(true)
      expect(bytes(read.average!.get(name)!).equals(bytes(written.average.get(name)!)), name).toBe(true)
    }
  })

  it('are kept: the latest ones and the best', async () => {
    const folder = await temporaryFolder()
    for (const step of [1, 2, 3, 10, 100]) await writeFile(checkpointFile(folder, step), '')
    await writeFile(join(folder, 'checkpoint-x.safetensors'), 'not one')
    await pruneCheckpoints(folder, 2, 2)
    expect(await checkpointSteps(folder)).toEqual([100, 10, 2])
    expect(await readdir(folder)).toContain('checkpoint-x.safetensors')
  })

  it('are refused when damaged, of another network, or something else', async () => {
    const folder = await temporaryFolder()
    const path = await writeCheckpoint(folder, network, checkpointAt(1))
    const other = buildNetwork(parseConfig(SMALL_X3D, 'small.yml'))
    await expect(readCheckpoint(path, other)).rejects.toThrow(`is of ${network.name}`)
    const cut = join(folder, 'cut.safetensors')
    await copyFile(path, cut)
    await writeFile(cut, (await readFile(path)).subarray(0, 5000))
    await expect(readCheckpoint(cut, network)).rejects.toThrow('cut.safetensors')
    await expect(readCheckpoint(join(folder, 'none.safetensors'), network)).rejects.toThrow('no such file')
  })
})
