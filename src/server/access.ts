/**
 * Who may ask. Without tokens only this machine can reach the server; and since every page that its user visits is on this
 * machine too, such pages are kept out: by the name they call it by, and by where they say they come from.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isIPv4 } from 'node:net'
import { MnVideoError, reasonOf, shown } from '../errors.ts'
import { readText } from '../files/read.ts'

/** What is wrong with a request, and what HTTP calls it. */
export interface Refusal {
  readonly status: 401 | 403
  readonly message: string
}

export interface AccessOptions {
  /** Who knows one of these may ask; without any, everyone who reaches the server. */
  readonly tokens: readonly string[]
  /** Whether only names of this machine are answered to. */
  readonly isLocal: boolean
}

/** Letters that fit into a header and a WebSocket's protocol; 16 at least, so that nobody guesses. */
const TOKEN = /^[A-Za-z0-9._~-]{16,256}$/
/** How a browser gives a token, which can set no header of a WebSocket. */
const PROTOCOL = 'bearer.'
const MOST_BYTES = 2 ** 16

/**
 * Tokens of a file, one a line; blank lines and lines from # are passed over.
 *
 * @throws MnVideoError `usage` naming the line that is none
 */
export async function readTokens(file: string): Promise<string[]> {
  const text = await readText(file, MOST_BYTES).catch((error: unknown) => {
    throw new MnVideoError('usage', `${shown(file)}: cannot be read: ${reasonOf(error)}.`, { cause: error })
  })
  const tokens: string[] = []
  for (const [i, line] of text.split('\n').entries()) {
    const token = line.trim()
    if (token === '' || token.startsWith('#')) continue
    if (!TOKEN.test(token))
      throw new MnVideoError(
        'usage',
        `${shown(file)}: line ${i + 1} is no token: give 16 to 256 letters, digits or . _ ~ -, such as openssl rand -hex 32 prints.`,
      )
    tokens.push(token)
  }
  if (tokens.length > 0) return tokens
  throw new MnVideoError(
    'usage',
    `${shown(file)}: has no token. Write one a line, such as openssl rand -hex 32 prints.`,
  )
}

/** Whether only this machine reaches an address. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))

/** What keeps a request out that may be from a page of another site, token or not; undefined lets it pass. */
export function refusedSite({ isLocal }: AccessOptions, headers: IncomingHttpHeaders): Refusal | undefined {
  const { host = '', origin } = headers
  if (isLocal && !isLoopback(nameOf(host)))
    return {
      status: 403,
      message: `the server answers to names of this machine alone, not to ${shown(host, 80)}.`,
    }
  if (origin !== undefined && hostOf(origin) !== host.toLowerCase())
    return { status: 403, message: `pages of ${shown(origin, 80)} may not ask this server.` }
  return undefined
}

/** What keeps a request out that has no token, where one is needed. */
export function refusedToken({ tokens }: AccessOptions, headers: IncomingHttpHeaders): Refusal | undefined {
  if (tokens.length === 0) return undefined
  const given = bearerOf(headers)
  if (given !== undefined && isAmong(tokens, given)) return undefined
  const what = given === undefined ? 'a token is needed' : 'the token is not known'
  return { status: 401, message: `${what}: send it as Authorization: Bearer TOKEN.` }
}

function bearerOf({ authorization, ...headers }: IncomingHttpHeaders): string | undefined {
  const [, header] = /^Bearer +(\S+) *$/i.exec(authorization ?? '') ?? []
  if (header !== undefined) return header
  const protocols = (headers['sec-websocket-protocol'] ?? '').split(',').map((each) => each.trim())
  return protocols.find((each) => each.startsWith(PROTOCOL))?.slice(PROTOCOL.length)
}

/** Takes as long whether the first letter is wrong or the last. */
function isAmong(tokens: readonly string[], given: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const wanted = digest(given)
  return tokens.map((token) => timingSafeEqual(digest(token), wanted)).includes(true)
}

/** `[::1]:8080` and `localhost:8080` without their port. */
const nameOf = (host: string): string =>
  host
    .toLowerCase()
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')

function hostOf(origin: string): string | undefined {
  try {
    return new URL(origin).host
  } catch {
    return undefined
  }
}

/** Sent with everything: the page asks nobody but this server, and nobody frames it. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; " +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(self), microphone=(), geolocation=()',
}
