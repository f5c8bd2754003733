/** Failures that HTTP has a number of its own for. */
import { MnVideoError } from '../errors.ts'

export class HttpError extends MnVideoError {
  readonly status: number

  constructor(status: number, message: string) {
    super('usage', message)
    this.status = status
  }
}

/** What the server cannot take on now. */
export class Overloaded extends HttpError {
  /** Seconds after which it is worth trying again. */
  readonly retryAfter: number

  constructor(what: string, retryAfter: number) {
    super(503, `${what}. Try again in ${retryAfter} s, give a longer deadline, or ask for less.`)
    this.retryAfter = retryAfter
  }
}
