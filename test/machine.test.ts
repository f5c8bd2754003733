/** What a process may use of its machine, from files as Linux shows them. */
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { memoryLimit, processorLimit } from '../src/machine.ts'
import { temporaryFolder } from './support/small-run.ts'

async function rootWith(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await temporaryFolder()
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), text)
  }
  return root
}

const MEMORY = 2 ** 24

describe('the processors of a control group', () => {
  it.each<[string, Readonly<Record<string, string>>, number]>([
    ['none', {}, availableParallelism()],
    [
      'no limit',
      { 'proc/self/cgroup': '0::/a\n', 'sys/fs/cgroup/a/cpu.max': 'max 100000\n' },
      availableParallelism(),
    ],
    ['one and a half', { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '150000 100000\n' }, 1],
    ['a tenth', { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '10000 100000\n' }, 1],
    [
      'one in a parent',
      {
        'proc/self/cgroup': '0::/a/b\n',
        'sys/fs/cgroup/a/cpu.max': '100000 100000\n',
        'sys/fs/cgroup/a/b/cpu.max': 'max 100000\n',
      },
      1,
    ],
    [
      'one in version 1',
      {
        'proc/self/cgroup': '3:cpu,cpuacct:/d\n',
        'sys/fs/cgroup/cpu,cpuacct/d/cpu.cfs_quota_us': '50000\n',
        'sys/fs/cgroup/cpu,cpuacct/d/cpu.cfs_period_us': '50000\n',
      },
      1,
    ],
    [
      'one, seen from inside',
      {
        'proc/self/cgroup': '3:cpu:/docker/1\n',
        'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '100000\n',
        'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      },
      1,
    ],
    [
      'no limit in version 1',
      {
        'proc/self/cgroup': '3:cpu:/\n',
        'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
        'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      },
      availableParallelism(),
    ],
    [
      'more than there are',
      { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '99999999 100000\n' },
      availableParallelism(),
    ],
  ])('are counted with %s', async (_, files, expected) => {
    expect(processorLimit(await rootWith(files))).toBe(expected)
  })

  it('are at most those of this machine', () => {
    expect(processorLimit()).toBeGreaterThanOrEqual(1)
    expect(processorLimit()).toBeLessThanOrEqual(availableParallelism())
  })
})

describe('the memory of a control group', () => {
  it.each<[string, Readonly<Record<string, string>>, number]>([
    ['16 MiB', { 'proc/self/cgroup': '0::/a\n', 'sys/fs/cgroup/a/memory.max': `${MEMORY}\n` }, MEMORY],
    [
      '16 MiB in a parent',
      {
        'proc/self/cgroup': '0::/a/b\n',
        'sys/fs/cgroup/a/memory.max': `${MEMORY}\n`,
        'sys/fs/cgroup/a/b/memory.max': 'max\n',
      },
      MEMORY,
    ],
    [
      '16 MiB in version 1',
      { 'proc/self/cgroup': '4:memory:/x\n', 'sys/fs/cgroup/memory/x/memory.limit_in_bytes': `${MEMORY}\n` },
      MEMORY,
    ],
  ])('is found with %s', async (_, files, expected) => {
    expect(memoryLimit(await rootWith(files))).toBe(expected)
  })

  it('is at most that of the machine', async () => {
    const formal = {
      'proc/self/cgroup': '4:memory:/\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    }
    expect(memoryLimit(await rootWith(formal))).toBeLessThanOrEqual(totalmem())
  })
})
