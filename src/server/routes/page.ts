/** `GET /`: the page, whose files are read once. */

import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import type { FastifyInstance } from 'fastify'
import { readWhole } from '../../files/read.ts'

/** Built beside the compiled routes; sources alone have no page. */
const FOLDER = new URL('../page/', import.meta.url)
const FILES = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/page.js', 'page.js', 'text/javascript; charset=utf-8'],
  ['/page.css', 'page.css', 'text/css; charset=utf-8'],
] as const
const MOST_BYTES = 2 ** 20

export async function addPage(app: FastifyInstance): Promise<void> {
  for (const [url, file, type] of FILES) {
    const bytes = await readWhole(fileURLToPath(new URL(file, FOLDER)), MOST_BYTES).catch(() => undefined)
    if (!bytes) return
    const packed = gzipSync(bytes)
    app.get(url, { schema: { hide: true } }, (request, reply) => {
      reply.type(type).header('cache-control', 'no-cache').header('vary', 'accept-encoding')
      if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) return reply.send(bytes)
      return reply.header('content-encoding', 'gzip').send(packed)
    })
  }
}
