// The person's read pointer follows what was on the screen while they looked at it. It passes no message that was
// not: after a leap ahead, by a permalink for instance, it moves when they have scrolled to where it stands, or when they
// come to the newest message, which says that they are done with all before. It is told at most once a second and never
// moves back by itself; who marks messages unread is not contradicted by the screen they look at.

const EVERY_MS = 1_000

export class ReadPointer {
  #clock
  #tell
  /** The highest number that was seen, and the highest that the server knows of or is being told. */
  #seen = 0
  #told = 0
  #timer = null
  /** @type {{first: number, last: number} | null} the numbers that were looked at since the last leap */
  #stretch = null
  /** Whether the reader was put where they are: to be at the newest message then is not to have come there. */
  #isCarried = false
  #isPaused = false
  #isOpened = false
  /** Whether somebody sees what comes; what came while nobody did is below the unread line. */
  isLookedAt = true
  /** @type {number | null} the first message that was unread when the room was opened, or was marked so since */
  unreadFrom = null

  /**
   * @param {object} options
   * @param {import("./clock.js").Clock} options.clock
   * @param {(number: number) => Promise<any>} options.tell
   */
  constructor({ clock, tell }) {
    this.#clock = clock
    this.#tell = tell
  }

  get seen() {
    return this.#seen
  }

  /** Whether there are unread messages between the pointer and what is looked at. */
  get isAhead() {
    return this.#stretch !== null && this.#stretch.first > Math.max(this.#told, this.#seen) + 1
  }

  /** The room's state is another. A pointer that moved back was marked unread, here or on another device. */
  follow(known, { read, rev, role, lastNumber }) {
    if (!known || rev <= known.rev || read >= known.read) {
      const before = Math.max(this.#told, this.#seen)
      this.#told = Math.max(this.#told, read)
      if (this.isLookedAt || !role || known?.lastNumber > before) return
      if (lastNumber > Math.max(before, read)) this.unreadFrom = Math.max(before, read) + 1
      return
    }
    this.#told = read
    this.unreadFrom = read + 1
    // What is on the screen must not undo it at once.
    this.pause()
  }

  /** The room's numbers start over: what is known of earlier ones counts no more. */
  startOver() {
    this.#seen = this.#told = 0
    this.#stretch = null
    this.#isCarried = this.#isPaused = this.#isOpened = false
    this.unreadFrom = null
  }

  /** Somebody opened the room. @returns {boolean} whether that was the first time */
  opened({ role, unread, read }) {
    const isFirst = !this.#isOpened
    if (isFirst) this.unreadFrom = role && unread ? read + 1 : null
    this.#isOpened = true
    return isFirst
  }

  /**
   * Messages were on the screen, looked at.
   * @param {{first: number, last: number, isEnd: boolean}} look `isEnd`: the last one is the room's newest
   */
  saw({ first, last, isEnd }) {
    if (this.#isPaused) return
    const held = this.#stretch
    const goesOn = held && first <= held.last + 1 && last >= held.first - 1
    this.#stretch = goesOn ? { first: Math.min(first, held.first), last: Math.max(last, held.last) } : { first, last }
    if (!isEnd || !this.isAhead) this.#isCarried = false
    if (isEnd && !this.#isCarried) this.#stretch.first = 0
    if (this.isAhead || this.#stretch.last <= this.#told) return
    this.#seen = Math.max(this.#seen, this.#stretch.last)
    if (this.#timer === null) this.#send()
  }

  /** The reader was put elsewhere: what is seen there joins on to nothing yet. */
  leap() {
    this.#stretch = null
    this.#isCarried = true
  }

  /** The reader asked for the newest messages. */
  arrive() {
    this.#isCarried = this.#isPaused = false
  }

  pause() {
    this.leap()
    this.#isPaused = true
    this.#seen = 0
  }

  /** The person goes on reading. */
  resume() {
    this.#isPaused = false
  }

  /** The page goes: what was seen within the last second is told now or never. */
  flush() {
    if (this.#timer === null) return
    this.#clock.cancel(this.#timer)
    this.#timer = null
    this.#send()
  }

  async #send() {
    const number = this.#seen
    if (this.#isPaused || number <= this.#told) return
    const before = this.#told
    this.#told = number
    this.#timer = this.#clock.after(() => {
      this.#timer = null
      this.#send()
    }, EVERY_MS)
    try {
      await this.#tell(number)
    } catch {
      // Nothing is lost: the next look says it again.
      if (this.#told === number) this.#told = this.#seen = before
    }
  }
}
