// The person's read pointer follows what was on the screen while they looked at it, and passes no message that was not.
// After a leap ahead, for example by a permalink, it stays until they have scrolled back to it, or come to the newest
// message, which means that they are done with all before. The server is told at most once a second. The pointer never
// moves back by itself, and messages marked unread stay unread although they are on the screen.

const EVERY_MS = 1_000

export class ReadPointer {
  #clock
  #tell
  /** The highest number that was seen, and the highest that the server knows or is being told. */
  #seen = 0
  #told = 0
  #timer = null
  /** @type {{first: number, last: number} | null} the contiguous numbers that were looked at since the last leap */
  #stretch = null
  /** Whether the reader was put where they are: being at the newest message then does not mean having come to it. */
  #isCarried = false
  #isPaused = false
  #isOpened = false
  /** Whether somebody is looking. Messages that come while nobody is get below the unread line. */
  isLookedAt = true
  /** @type {number | null} the first message below the unread line; null: there is no line */
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

  /** Takes a new state of the room. A pointer that moved back means: marked unread, here or on another device. */
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
    // The messages on the screen must not undo this at once.
    this.pause()
  }

  /** Forgets everything, because the room's numbers start over. */
  startOver() {
    this.#seen = this.#told = 0
    this.#stretch = null
    this.#isCarried = this.#isPaused = this.#isOpened = false
    this.unreadFrom = null
  }

  /** Notes that somebody opened the room. @returns {boolean} whether that was the first time */
  opened({ role, unread, read }) {
    const isFirst = !this.#isOpened
    if (isFirst) this.unreadFrom = role && unread ? read + 1 : null
    this.#isOpened = true
    return isFirst
  }

  /**
   * Notes that somebody looked at messages on the screen.
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

  /** The reader was put elsewhere: what is seen there does not connect to the pointer yet. */
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

  /** The person scrolls on: what they see counts again. */
  resume() {
    this.#isPaused = false
  }

  /** Tells at once what was seen within the last second, because the page is closing. */
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
      // Nothing is lost: the next look tells the server again.
      if (this.#told === number) this.#told = this.#seen = before
    }
  }
}
