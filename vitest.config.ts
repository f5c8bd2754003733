import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // Vitest leaves one processor idle, which of two is half: most files wait for processes that they start.
    maxWorkers: availableParallelism(),
    env: { MN_VIDEO_CACHE: 'off' },
  },
})
