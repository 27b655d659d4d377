const LEAST_WAIT_MS = 100
const MOST_WAIT_MS = 60_000
/** The wait after a refusal that names none. */
const DEFAULT_WAIT_MS = 1_000

/**
 * Reads that wait because the server has refused one for its rate. They are sent one at a time, in the order in which
 * they were asked for, and none before the time that the server named. If each were repeated by itself, the refusals
 * alone would be a flood, for which the server closes connections.
 */
export class HeldReads {
  #clock
  #wake
  #requests = []
  #until = 0
  #isAsking = false
  #timer = null

  /**
   * @param {import("./clock.js").Clock} clock
   * @param {() => void} wake called when the next may be sent
   */
  constructor(clock, wake) {
    this.#clock = clock
    this.#wake = wake
  }

  /** Whether a further read has to wait behind these. */
  get isHolding() {
    return this.#requests.length > 0 || this.#isAsking
  }

  /** @param {{place: number}} request */
  hold(request) {
    const behind = this.#requests.findIndex(({ place }) => place > request.place)
    this.#requests.splice(behind < 0 ? this.#requests.length : behind, 0, request)
  }

  /** Holds a read that was refused, and the others with it. */
  refused(request, retryAfterMs) {
    const wait = Math.min(MOST_WAIT_MS, Math.max(LEAST_WAIT_MS, retryAfterMs ?? DEFAULT_WAIT_MS))
    // The limit is one for all of a person's tabs, and theirs were refused at the same moment.
    this.#until = Math.max(this.#until, this.#clock.now() + wait * (1 + this.#clock.random() / 4))
    this.#isAsking = false
    this.hold(request)
    this.#clock.cancel(this.#timer)
    this.#timer = this.#clock.after(() => {
      this.#until = 0
      this.#wake()
    }, this.#until - this.#clock.now())
  }

  answered() {
    this.#isAsking = false
  }

  /** The read to send now, which counts as unanswered from here on; null if there is none. */
  next() {
    if (!this.#requests.length || this.#isAsking || this.#until) return null
    this.#isAsking = true
    return this.#requests.shift()
  }

  /** Holds nothing any more. @returns {object[]} what was held */
  clear() {
    const held = this.#requests
    this.#clock.cancel(this.#timer)
    this.#requests = []
    this.#until = 0
    this.#isAsking = false
    return held
  }
}
