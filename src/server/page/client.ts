/** Asks the server that the page is from. */
import type { ClassifyAnswer, ConfigurationJson, ErrorAnswer, ModelsAnswer, SpansEvent } from '../api.ts'

const KEPT = 'mn-video token'

/** A token is needed, or another one. */
export class TokenNeeded extends Error {}

let known: string | undefined

/** The token that was given in this tab, where the browser lets pages keep anything. */
export function token(): string | undefined {
  try {
    known ??= sessionStorage.getItem(KEPT) ?? undefined
  } catch {}
  return known
}

export function keepToken(text: string): void {
  known = text
  try {
    sessionStorage.setItem(KEPT, text)
  } catch {}
}

async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const given = token()
  const headers: HeadersInit = given === undefined ? {} : { authorization: `Bearer ${given}` }
  const response = await fetch(path, { ...init, headers })
  if (response.status === 401) throw new TokenNeeded('The server asks for a token.')
  if (response.ok) return response
  const said = (await response.json().catch(() => undefined)) as ErrorAnswer | undefined
  throw new Error(said?.error.message ?? `The server answers ${response.status}.`)
}

export const models = async (): Promise<ModelsAnswer> =>
  (await (await ask('/v1/models')).json()) as ModelsAnswer

function formOf(file: File, model: string, { width, frames, size }: ConfigurationJson): FormData {
  const form = new FormData()
  for (const [name, value] of Object.entries({ model, width, frames, size })) form.set(name, String(value))
  form.set('file', file)
  return form
}

export async function classifyImage(
  file: File,
  model: string,
  one: ConfigurationJson,
): Promise<ClassifyAnswer> {
  const response = await ask('/v1/classify', { method: 'POST', body: formOf(file, model, one) })
  return (await response.json()) as ClassifyAnswer
}

/** Tells what the server says of a film, line by line as it comes. */
export async function findSpans(
  file: File,
  model: string,
  one: ConfigurationJson,
  signal: AbortSignal,
  tell: (event: SpansEvent) => void,
): Promise<void> {
  const response = await ask('/v1/spans', { method: 'POST', body: formOf(file, model, one), signal })
  if (!response.body) return
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let [rest, isWhole] = ['', false]
  for (;;) {
    const { value, done } = await reader.read()
    if (done) break
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const event = JSON.parse(line) as SpansEvent
      isWhole ||= event.event === 'end' || event.event === 'error'
      tell(event)
    }
  }
  if (!isWhole) throw new Error('The server broke off.')
}
