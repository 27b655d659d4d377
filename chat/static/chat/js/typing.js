/** How long a person counts as typing without a new "active" (docs/protocol.md, section 3). */
const EXPIRES_MS = 6_000
/** How often others are told again while a person types. */
const REPEAT_MS = 3_000

/** Who is typing in a room. */
export class Typing {
  #timers = new Map()
  #clock
  #changed

  constructor(clock, changed) {
    this.#clock = clock
    this.#changed = changed
  }

  /** @returns {string[]} user ids */
  get users() {
    return [...this.#timers.keys()]
  }

  heard(user, active) {
    const known = this.#timers.has(user)
    this.#clock.cancel(this.#timers.get(user))
    if (active) this.#timers.set(user, this.#clock.after(() => this.heard(user, false), EXPIRES_MS))
    else this.#timers.delete(user)
    if (known !== active) this.#changed()
  }

  clear() {
    this.#timers.forEach((timer) => this.#clock.cancel(timer))
    this.#timers.clear()
  }
}

/** Tells the others that the person is typing, no more often than needed. */
export class TypingSignal {
  #last = -Infinity
  #clock
  #tell

  /** @param {(active: boolean) => void} tell */
  constructor(clock, tell) {
    this.#clock = clock
    this.#tell = tell
  }

  typed() {
    if (this.#clock.now() - this.#last < REPEAT_MS) return
    this.#last = this.#clock.now()
    this.#tell(true)
  }

  stopped() {
    if (this.#last === -Infinity) return
    this.#last = -Infinity
    this.#tell(false)
  }
}
