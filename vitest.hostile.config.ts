import { defineConfig } from 'vitest/config'

/** `npm run test:hostile`: campaigns of kills, races and damaged input, one after the other. */
export default defineConfig({
  test: {
    include: ['test/hostile/*.hostile.ts'],
    testTimeout: 1_200_000,
    hookTimeout: 120_000,
    pool: 'forks',
    fileParallelism: false,
    disableConsoleIntercept: true,
    env: { MN_VIDEO_CACHE: 'off' },
  },
})
