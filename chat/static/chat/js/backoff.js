const FIRST_MS = 1_000
const CAP_MS = 30_000
/** A connection that lived so long was good: the next one starts over. */
const STEADY_MS = 10_000

/**
 * When to try again: full jitter, so that a thousand clients of one dead server don't come back in step.
 * The first try within a second, then within 1, 2, 4 … up to 30 s.
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
