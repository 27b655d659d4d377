const LEAST_WAIT_MS = 100
const MOST_WAIT_MS = 60_000
/** How long many tabs of one person, which share the limit, make each other wait at most. */
const MOST_PAUSE_MS = 10_000
/** The wait after a refusal that names none. */
const DEFAULT_WAIT_MS = 1_000

/**
 * Reads that wait because the server has refused one for its rate. They are sent one at a time, in the order in which
 * they were asked for, and none before the time that the server named. If each were repeated by itself, the refusals
 * alone would be a flood, for which the server closes connections. The limit is one for all of a person's tabs: so the
 * pause doubles with each refusal and halves with each answer, and is spread, until together they ask hardly more often
 * than they are answered.
 */
export class HeldReads {
  /** Called when the next may be sent; set by the connection that they belong to now. */
  wake = () => {}
  #clock
  #requests = []
  #pause = 0
  /** The one that is unanswered. */
  #asked = null
  /** Runs while none may be sent, also past the end of a connection. */
  #timer = null

  /** @param {import("./clock.js").Clock} clock */
  constructor(clock) {
    this.#clock = clock
  }

  /** Whether a further read has to wait, behind these or for the server's limit. */
  get mustWait() {
    return this.#requests.length > 0 || this.#asked !== null || this.#timer !== null
  }

  /** @param {{place: number}} request */
  hold(request) {
    const behind = this.#requests.findIndex(({ place }) => place > request.place)
    this.#requests.splice(behind < 0 ? this.#requests.length : behind, 0, request)
  }

  /** Holds a read that was refused, and the others with it. */
  refused(request, retryAfterMs) {
    const told = Math.min(MOST_WAIT_MS, Math.max(LEAST_WAIT_MS, retryAfterMs ?? DEFAULT_WAIT_MS))
    if (!this.mustWait) this.#pauseFor(told)
    else if (request === this.#asked) this.#pauseFor(Math.max(told, Math.min(MOST_PAUSE_MS, 2 * this.#pause)))
    // Others were sent before the first refusal, and theirs says nothing new.
    this.#settle(request)
    this.hold(request)
  }

  answered(request) {
    if (request === this.#asked) {
      this.#pauseFor(this.#pause / 2 < LEAST_WAIT_MS ? 0 : this.#pause / 2)
    }
    this.#settle(request)
  }

  #settle(request) {
    if (request === this.#asked) this.#asked = null
  }

  #pauseFor(ms) {
    this.#pause = ms
    this.#clock.cancel(this.#timer)
    this.#timer = null
    if (!ms) return
    this.#timer = this.#clock.after(() => {
      this.#timer = null
      this.wake()
    }, ms * (1 + this.#clock.random()))
  }

  /** The read to send now, which counts as unanswered from here on; null if there is none. */
  next() {
    if (!this.#requests.length || this.#asked || this.#timer !== null) return null
    this.#asked = this.#requests.shift()
    return this.#asked
  }

  /** Holds nothing any more, and waits for no answer. @returns {object[]} what was held */
  clear() {
    const held = this.#requests
    this.#requests = []
    this.#asked = null
    return held
  }
}
