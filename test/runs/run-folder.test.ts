import { copyFile, mkdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { buildNetwork } from '../../src/models/index.ts'
import { resolve } from '../../src/network/resolve.ts'
import { initialStatistics } from '../../src/network/store.ts'
import { writeRun } from '../../src/runs/create-run.ts'
import { readStatistics } from '../../src/runs/kept-statistics.ts'
import { digestOf, type QueryTable } from '../../src/runs/query-table.ts'
import { statisticsFile } from '../../src/runs/run-files.ts'
import { calibrateCommand, newestRun, readRun } from '../../src/runs/run-folder.ts'
import { makeRun, SMALL_MOBILENET, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()

describe('run folder', () => {
  it('gives back the configuration, weights and table that were written', async () => {
    const path = join(folder, 'back')
    const written = await makeRun(path, SMALL_X3D)
    const run = await readRun(path)
    expect(run.config).toEqual(written.config)
    expect(run.table).toEqual({ ...written.table, weights: expect.stringMatching(/^[0-9a-f]{16}$/) })
    expect([...run.weights.values.keys()].sort()).toEqual([...written.weights.values.keys()].sort())
    for (const [name, values] of written.weights.values) expect(run.weights.values.get(name)).toEqual(values)
  })

  it('is never written over existing files', async () => {
    const path = join(folder, 'taken')
    await mkdir(path)
    await writeFile(join(path, 'precious.txt'), 'keep')
    await expect(makeRun(path, SMALL_X3D)).rejects.toThrow(`${path}: already has files`)
    expect(await readFile(join(path, 'precious.txt'), 'utf8')).toBe('keep')
  })

  it('is the newest one with a query table when none is named', async () => {
    const runs = join(folder, 'runs')
    for (const [name, age] of [
      ['old', 100],
      ['new', 10],
    ] as const) {
      await makeRun(join(runs, name), SMALL_MOBILENET)
      const time = Date.now() / 1000 - age
      await utimes(join(runs, name, 'query-table.json'), time, time)
    }
    await mkdir(join(runs, 'unfinished'))
    expect(await newestRun(runs)).toBe(join(runs, 'new'))
  })

  it('says how to make one when there is none', async () => {
    await expect(newestRun(join(folder, 'nothing'))).rejects.toThrow('mn-video init')
  })

  it.each(['config.yml', 'model.safetensors', 'query-table.json'])(
    'names %s when it is missing',
    async (file) => {
      const path = join(folder, `without-${file}`)
      await makeRun(path, SMALL_X3D)
      await rm(join(path, file))
      await expect(readRun(path)).rejects.toThrow(file)
    },
  )

  it('refuses weights that are cut short', async () => {
    const path = join(folder, 'short')
    await makeRun(path, SMALL_X3D)
    await truncate(join(path, 'model.safetensors'), 5000)
    await expect(readRun(path)).rejects.toMatchObject({ name: 'MnVideoError', code: 'weights' })
  })

  it('refuses weights of another network, naming the parameter', async () => {
    const path = join(folder, 'other')
    await makeRun(path, SMALL_X3D)
    await makeRun(join(folder, 'mobile'), SMALL_MOBILENET)
    await writeFile(
      join(path, 'model.safetensors'),
      await readFile(join(folder, 'mobile', 'model.safetensors')),
    )
    await expect(readRun(path)).rejects.toThrow(
      /parameter "blocks\.0\.conv\.conv_t\.weight" needs .* but it is missing/,
    )
  })

  it('counts the costs of the table again, and refuses one that says otherwise', async () => {
    const path = join(folder, 'costs')
    const { table } = await makeRun(path, SMALL_X3D)
    const cheaper = { ...table, entries: table.entries.map((entry) => ({ ...entry, macs: 5 })) }
    const write = (table: QueryTable) =>
      writeFile(join(path, 'query-table.json'), JSON.stringify({ ...table, digest: digestOf(table) }))
    await write(cheaper)
    await expect(readRun(path)).rejects.toThrow(
      /query-table\.json: width .* says 5 MACs .*The table belongs to another run/,
    )
    await write({ ...table, network: 'Slow R50' })
    await expect(readRun(path)).rejects.toThrow("is of Slow R50, the run's network is X3D")
  })

  it('refuses weights and statistics of another training of the same network', async () => {
    const path = join(folder, 'one')
    const { config, table, weights } = await makeRun(path, SMALL_X3D)
    const [entry] = table.entries
    const file = statisticsFile(entry!)
    const statistics = new Map([[file, initialStatistics(resolve(buildNetwork(config), entry!))]])
    const trained = { ...table, trained: true, entries: [{ ...entry!, top1: 0.5, statistics: file }] }
    const other = join(folder, 'another')
    await writeRun(other, { config, table: trained, weights, statistics })
    weights.values.get('blocks.5.proj.weight')![7]! += 1
    const changed = join(folder, 'changed')
    await writeRun(changed, { config, table: trained, weights, statistics })
    expect((await readStatistics(await readRun(changed), trained.entries[0]!)).size).toBeGreaterThan(0)

    await copyFile(join(other, file), join(changed, file))
    await expect(readRun(changed).then((run) => readStatistics(run, trained.entries[0]!))).rejects.toThrow(
      'belongs to other weights',
    )
    await copyFile(join(other, 'model.safetensors'), join(changed, 'model.safetensors'))
    await expect(readRun(changed)).rejects.toThrow(
      'was measured with other weights than model.safetensors has',
    )
  })

  it('refuses weights that are not numbers, naming the parameter', async () => {
    const path = join(folder, 'nan')
    const { config, table, weights } = await makeRun(join(folder, 'numbers'), SMALL_X3D)
    weights.values.get('blocks.5.proj.weight')![7] = Number.NaN
    await writeRun(path, { config, table, weights })
    await expect(readRun(path)).rejects.toThrow('"blocks.5.proj.weight" has values that are not numbers')
  })

  it('refuses a trained configuration without statistics of its own', async () => {
    const path = join(folder, 'trained')
    await makeRun(path, SMALL_X3D)
    const run = await readRun(path)
    const trained = { ...run, table: { ...run.table, trained: true } }
    await expect(readStatistics(trained, run.table.entries[0]!)).rejects.toThrow(
      'no batch-norm statistics of its own',
    )
  })

  it('is calibrated with the views and the precision of its query table', async () => {
    const path = join(folder, 'calibrated')
    await makeRun(path, SMALL_X3D)
    const { table, ...rest } = await readRun(path)
    const run = { ...rest, table, folder: 'runs/x3d' }
    const command = 'mn-video test runs/x3d --widths 0.7 --frames 2 --sizes 32'
    const configuration = { width: 0.7, frames: 2, size: 32 }
    expect(calibrateCommand(run, configuration)).toBe(command)
    const other = { ...run, table: { ...table, views: '3x1', precision: 'bf16' as const } }
    expect(calibrateCommand(other, configuration)).toBe(`${command} --views 3x1 --precision bf16`)
  })
})
