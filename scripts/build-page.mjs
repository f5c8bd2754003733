// Builds the page that `mn-video serve` shows, into dist/server/page: part of `npm run build`.
import { copyFile, mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** It is to be there at once, over any line. */
const MOST_BYTES = 200_000
const FROM = fileURLToPath(new URL('../src/server/page', import.meta.url))
const TO = fileURLToPath(new URL('../dist/server/page', import.meta.url))

await mkdir(TO, { recursive: true })
await build({
  entryPoints: [join(FROM, 'main.tsx')],
  outfile: join(TO, 'page.js'),
  ...{ bundle: true, minify: true, format: 'esm', target: 'es2022', logLevel: 'warning' },
  ...{ jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' },
})
for (const name of ['index.html', 'page.css']) await copyFile(join(FROM, name), join(TO, name))
let bytes = 0
for (const name of ['index.html', 'page.css', 'page.js']) bytes += (await stat(join(TO, name))).size
if (bytes > MOST_BYTES) {
  console.error(`build-page: the page is ${bytes} bytes, more than ${MOST_BYTES}.`)
  process.exitCode = 1
}
