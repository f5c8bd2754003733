/** A stream to the server: opened while something plays, found again when it is lost. */
import type { StreamEvent } from '../api.ts'
import { token } from './client.ts'

/** What answers may cost: one configuration, or a deadline. */
export type Cost =
  | { readonly width: number; readonly frames: number; readonly size: number }
  | { readonly deadline_ms: number }

export interface SessionOptions {
  readonly model: string
  readonly cost: Cost
  readonly tell: (event: StreamEvent) => void
  /** Told how the line is; undefined when it is well. */
  readonly onTrouble: (text: string | undefined) => void
}

/** Bytes that wait to be sent, beyond which a frame is left out. */
const MOST_WAITING = 2 ** 20
const MOST_BACKOFF = 10

export class Session {
  readonly #options: SessionOptions
  #cost: Cost
  #socket: WebSocket | undefined
  #isReady = false
  #isOver = false
  #backoff = 1
  #begun = 0
  #timer = 0
  /** Why the server ended it; then it is not tried again. */
  #refused = false

  constructor(options: SessionOptions) {
    this.#options = options
    this.#cost = options.cost
    this.#open()
  }

  /** Whether a frame would be taken now. */
  get isOpen(): boolean {
    return this.#isReady && (this.#socket?.bufferedAmount ?? 0) < MOST_WAITING
  }

  set cost(cost: Cost) {
    this.#cost = cost
    if (this.#isReady) this.#say({ type: 'set', ...cost })
  }

  /** Sends a picture, with the time since the stream began. */
  send(picture: ArrayBuffer): void {
    if (!this.isOpen) return
    const message = new Uint8Array(8 + picture.byteLength)
    new DataView(message.buffer).setFloat64(0, (performance.now() - this.#begun) / 1000, true)
    message.set(new Uint8Array(picture), 8)
    this.#socket?.send(message)
  }

  close(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#socket?.close()
  }

  #say(message: object): void {
    this.#socket?.send(JSON.stringify(message))
  }

  #open(): void {
    const known = token()
    const url = new URL('/v1/stream', location.href)
    url.protocol = url.protocol.replace('http', 'ws')
    const socket = new WebSocket(url, known === undefined ? ['mn-video'] : ['mn-video', `bearer.${known}`])
    this.#socket = socket
    socket.onopen = () => {
      const { model } = this.#options
      this.#say({ type: 'start', model, format: 'jpeg', fps: 30, spans: true, topk: 5, ...this.#cost })
    }
    socket.onmessage = ({ data }) => {
      const event = JSON.parse(String(data)) as StreamEvent
      if (event.event === 'ready') {
        this.#begun = performance.now()
        this.#isReady = true
        this.#backoff = 1
        this.#options.onTrouble(undefined)
      }
      if (event.event === 'error') {
        this.#refused = event.code !== 'cancelled'
        this.#options.onTrouble(event.message)
      }
      this.#options.tell(event)
    }
    socket.onclose = () => {
      this.#isReady = false
      if (this.#isOver || this.#refused) return
      this.#options.onTrouble(`The line to the server is lost; trying again in ${this.#backoff} s.`)
      this.#timer = window.setTimeout(() => this.#open(), 1000 * this.#backoff)
      this.#backoff = Math.min(MOST_BACKOFF, 2 * this.#backoff)
    }
  }
}
