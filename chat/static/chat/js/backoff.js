const FIRST_MS = 1_000
const CAP_MS = 30_000
/** A connection that stayed live this long resets the back-off. */
const STEADY_MS = 10_000

/**
 * Says how long to wait before the next connection attempt: up to 1 s at first, then up to 2, 4, 8 … 30 s.
 * Full jitter keeps a thousand clients of one dead server from reconnecting in step.
 */
export class Backoff {
  #attempts = 0
  #liveSince = null
  #clock

  /** @param {import("./clock.js").Clock} clock */
  constructor(clock) {
    this.#clock = clock
  }

  /** The longest that the next wait may be, in milliseconds. */
  get ceilingMs() {
    return Math.min(CAP_MS, FIRST_MS * 2 ** this.#attempts)
  }

  /** Milliseconds to wait now; each call counts as one attempt. */
  nextMs() {
    const wait = this.#clock.random() * this.ceilingMs
    this.#attempts += 1
    return wait
  }

  live() {
    this.#liveSince = this.#clock.now()
  }

  closed() {
    if (this.#liveSince !== null && this.#clock.now() - this.#liveSince >= STEADY_MS) this.#attempts = 0
    this.#liveSince = null
  }
}
