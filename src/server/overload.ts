/** A request that the server cannot take on now. */
import { MnVideoError } from '../errors.ts'

export class Overloaded extends MnVideoError {
  /** Seconds after which it is worth trying again. */
  readonly retryAfter: number

  constructor(what: string, retryAfter: number) {
    super('budget', `${what}. Try again in ${retryAfter} s, give a longer deadline, or ask for less.`)
    this.retryAfter = retryAfter
  }
}
