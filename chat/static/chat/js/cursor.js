// How far a room's events were taken in, and what to do when one is missing (docs/protocol.md, section 4, points 2-4).
// Events are applied in the order of their seq; one that is ahead is held. What doesn't come in time is synced.

const PATIENCE_MS = 2_000
/** Spread over so long, so that a thousand clients that miss the same event don't ask in the same moment. */
const JITTER_MS = 3_000
/** A sync brings it all anyway; holding more than this would only cost memory. */
const MOST_HELD = 500

/** @typedef {{epoch: string, seq: number}} Position */

export class Cursor {
  /** @type {Position | null} */
  #position = null
  #held = []
  #head = 0
  #timer = null
  #syncing = false
  #clock
  #apply
  #sync

  /**
   * @param {object} options
   * @param {import("./clock.js").Clock} options.clock
   * @param {(event: object) => void} options.apply gets each numbered event once, in order
   * @param {() => void} options.sync is called when the room must be synced; never again before `syncEnded`
   */
  constructor({ clock, apply, sync }) {
    this.#clock = clock
    this.#apply = apply
    this.#sync = sync
  }

  get position() {
    return this.#position
  }

  // Callbacks: what arrives

  /** A numbered event. */
  take(event) {
    if (this.#position && event.seq <= this.#position.seq) return
    if (this.#follows(event)) {
      this.#advance(event)
      this.#release()
    } else {
      this.#hold(event)
    }
    this.#watch()
  }

  /** `heads` says that this connection was passed everything up to `seq`. */
  heard(seq) {
    this.#head = Math.max(this.#head, seq)
    this.#watch()
  }

  /** The catch-up is complete. Live events may have come further in the meantime. */
  synced({ epoch, seq }) {
    const further = this.#position?.epoch === epoch && this.#position.seq > seq
    if (!further) this.#position = { epoch, seq }
    this.#release()
    this.#watch()
  }

  /** The room starts over here: nothing that was seen of it before counts. */
  reset({ epoch, seq }) {
    this.#position = { epoch, seq }
    this.#forget()
  }

  syncEnded() {
    this.#syncing = false
    this.#watch()
  }

  // Actions

  /** Asks for a sync, unless one is under way. */
  sync() {
    if (this.#syncing) return
    this.#syncing = true
    this.#sync()
  }

  /** The connection is gone: what was held and announced on it is void, the position stands. */
  disconnect() {
    this.#syncing = false
    this.#forget()
  }

  // Internal

  #follows(event) {
    return this.#position !== null && event.prev <= this.#position.seq && event.seq > this.#position.seq
  }

  #advance(event) {
    this.#position = { epoch: this.#position.epoch, seq: event.seq }
    this.#apply(event)
  }

  #hold(event) {
    if (this.#held.some(({ seq, prev }) => seq === event.seq && prev === event.prev)) return
    this.#held.push(event)
    this.#held.sort((a, b) => a.seq - b.seq)
    if (this.#held.length > MOST_HELD) this.#held.pop()
    this.#head = Math.max(this.#head, event.seq)
  }

  #release() {
    for (let next; (next = this.#held.find((event) => this.#follows(event))); ) this.#advance(next)
    this.#held = this.#held.filter(({ seq }) => seq > this.#position.seq)
  }

  /** Starts the wait for what is missing, or ends it. */
  #watch() {
    const behind = this.#position !== null && this.#head > this.#position.seq
    if (!behind || this.#syncing) {
      this.#clock.cancel(this.#timer)
      this.#timer = null
    } else if (this.#timer === null) {
      const { seq } = this.#position
      const wait = PATIENCE_MS + this.#clock.random() * JITTER_MS
      this.#timer = this.#clock.after(() => this.#waited(seq), wait)
    }
  }

  #waited(seqThen) {
    this.#timer = null
    // It came, and something else is missing now: that has its own two seconds.
    if (this.#position.seq > seqThen) this.#watch()
    else this.sync()
  }

  #forget() {
    this.#held = []
    this.#head = 0
    this.#clock.cancel(this.#timer)
    this.#timer = null
  }
}
