import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isLoopback, readTokens, refusedSite, refusedToken } from '../../src/server/access.ts'
import { temporaryFolder } from '../support/small-run.ts'

const TOKEN = '0123456789abcdef'
const local = { tokens: [], isLocal: true }
const guarded = { tokens: [TOKEN, 'fedcba9876543210'], isLocal: false }

describe('access', () => {
  it.each(['localhost', '127.0.0.1', '127.3.2.1', '::1'])('%s is this machine', (host) => {
    expect(isLoopback(host)).toBe(true)
  })

  it.each(['0.0.0.0', '::', '192.168.1.2', 'localhost.evil.com', '127.evil.com', ''])('%s is not', (host) => {
    expect(isLoopback(host)).toBe(false)
  })

  it.each([
    ['127.0.0.1:8080', undefined],
    ['localhost:1', 'http://localhost:1'],
    ['[::1]:8080', undefined],
  ])('lets its own pages and programs in: host %s, origin %s', (host, origin) => {
    expect(refusedSite(local, { host, ...(origin && { origin }) })).toBeUndefined()
  })

  it.each([
    // A name that its owner lets point here.
    ['evil.com', undefined],
    ['evil.com:8080', 'http://evil.com:8080'],
    ['127.0.0.1.evil.com:8080', undefined],
    // A page that sends a form or opens a socket to this machine.
    ['127.0.0.1:8080', 'http://evil.com'],
    ['127.0.0.1:8080', 'http://127.0.0.1:9090'],
    ['127.0.0.1:8080', 'null'],
    ['', undefined],
  ])('keeps other sites out: host %s, origin %s', (host, origin) => {
    expect(refusedSite(local, { host, ...(origin && { origin }) })?.status).toBe(403)
  })

  it('takes a token from the header or the protocol of a socket', () => {
    expect(refusedToken(guarded, { authorization: `Bearer ${TOKEN}` })).toBeUndefined()
    expect(refusedToken(guarded, { authorization: `bearer fedcba9876543210` })).toBeUndefined()
    expect(refusedToken(guarded, { 'sec-websocket-protocol': `mn-video, bearer.${TOKEN}` })).toBeUndefined()
    expect(refusedToken(local, {})).toBeUndefined()
  })

  it.each([
    [{}],
    [{ authorization: TOKEN }],
    [{ authorization: `Bearer ${TOKEN}x` }],
    [{ authorization: 'Bearer ' }],
    [{ authorization: `Basic ${TOKEN}` }],
    [{ 'sec-websocket-protocol': 'mn-video, bearer.' }],
  ])('refuses %o', (headers) => {
    expect(refusedToken(guarded, headers)?.status).toBe(401)
  })

  it('reads tokens, and says which line is none', async () => {
    const file = join(await temporaryFolder(), 'tokens')
    await writeFile(file, `# ours\n\n${TOKEN}\n  fedcba9876543210  \n`)
    expect(await readTokens(file)).toEqual([TOKEN, 'fedcba9876543210'])
    await writeFile(file, `${TOKEN}\nshort\n`)
    await expect(readTokens(file)).rejects.toThrow('line 2 is no token')
    await writeFile(file, '# none\n')
    await expect(readTokens(file)).rejects.toThrow('has no token')
    await expect(readTokens(`${file}-not`)).rejects.toThrow('no such file')
  })
})
