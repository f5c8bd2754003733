import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { createFrameIndexes } from '../../../src/data/loading/frame-indexes.ts'
import { renderClip } from '../../support/render.ts'
import { temporaryFolder } from '../../support/small-run.ts'

it('keeps the index of a video until the file is another one', async () => {
  const folder = await temporaryFolder()
  const path = await renderClip(join(folder, 'a.mp4'), { seconds: 0.5 })
  const indexes = createFrameIndexes()
  const first = await indexes.of(path, {})
  expect(await indexes.of(path, {})).toBe(first)
  await rename(await renderClip(join(folder, 'b.mp4'), { seconds: 1 }), path)
  expect((await indexes.of(path, {})).pts).toHaveLength(30)
  await rename(path, join(folder, 'c.mp4'))
  await expect(indexes.of(path, {})).rejects.toThrow('a.mp4: ')
})
