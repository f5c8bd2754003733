/** A process that takes the lock of a run's folder when it is told to, holds it for a while and tells from when to when. */
const { lockRun } = await import(new URL('../../dist/training/lock.js', import.meta.url))

/** Nanoseconds on the machine's own clock: the same for all processes. */
const now = () => String(process.hrtime.bigint())

process.on('message', async ({ folder, at, milliseconds }) => {
  while (Date.now() < at);
  try {
    const unlock = await lockRun(folder)
    const from = now()
    await new Promise((resolve) => setTimeout(resolve, milliseconds))
    const to = now()
    await unlock()
    process.send({ from, to, inherited: unlock.inherited })
  } catch (error) {
    process.send({ refused: error.message })
  }
})
process.send('ready')
