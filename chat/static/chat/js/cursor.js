// Tracks how far a room's events were applied, and recovers missing ones (docs/protocol.md, section 4, points 2-4).
// Events are applied in the order of their seq; an early one is held. If the missing ones are late, the room is synced.

const PATIENCE_MS = 2_000
/** Up to this much is added, so that a thousand clients that miss the same event don't ask at the same moment. */
const JITTER_MS = 3_000
/** Holding more events than this would only cost memory: a sync brings them anyway. */
const MOST_HELD = 500

/** @typedef {{epoch: string, seq: number, run?: string}} Position  `run`: of the database, if the server named one */

/**
 * Whether the two are of different runs of the database: at most one of them is of the history that stands.
 * @param {{run?: string | null}} one
 * @param {{run?: string | null}} other
 */
export const differInRun = (one, other) => Boolean(one.run && other.run && one.run !== other.run)

/** How long a page may be ahead of the events: the room is synced by then, if one of them was lost. */
const AHEAD_MS = PATIENCE_MS + JITTER_MS
const LOOK_MS = 50

/**
 * Whether the room's events have come as far as a page, at once or a little later. Until they have, nobody knows whether
 * what it shows was lost by the database since it was read.
 * @param {Position} page
 * @param {() => Position | null} cursor
 * @param {import("./clock.js").Clock} clock
 * @param {() => boolean} isWanted
 */
export async function isReached(page, cursor, clock, isWanted) {
  const isOther = () => differInRun(page, cursor() ?? page)
  const isAhead = () => Boolean(page.run) && cursor()?.epoch === page.epoch && cursor().seq < page.seq
  for (let waited = 0; isAhead() && !isOther() && isWanted() && waited < AHEAD_MS; waited += LOOK_MS) {
    await new Promise((resolve) => clock.after(resolve, LOOK_MS))
  }
  return !isAhead() && !isOther()
}

export class Cursor {
  /** @type {Position | null} */
  #position = null
  /** @type {Position | null} the position before the first event of a reading of which more is to come */
  #whole = null
  /** The seq that this reading reaches to. */
  #upto = 0
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
   * @param {() => void} options.sync called when the room must be synced; not again before `syncEnded` or `disconnect`
   */
  constructor({ clock, apply, sync }) {
    this.#clock = clock
    this.#apply = apply
    this.#sync = sync
  }

  get position() {
    return this.#position
  }

  /**
   * The cursor to send with `sync`: what lies before it has come whole. It is behind the position while events come that
   * were read from the room's later state: a change that is not among them stands in one that is still to come, and
   * would be missed if the database lost that one.
   */
  get syncFrom() {
    return this.#whole ?? this.#position
  }

  // Callbacks: what arrives

  /** Applies a numbered event, holds it until its turn, or drops it as a repeat. */
  take(event) {
    if (this.#position && event.seq <= this.#position.seq) {
      // The room has gone on from before what was applied here: the server knows.
      if (event.run && event.run !== this.#position.run) this.sync()
      return
    }
    if (this.#follows(event)) {
      this.#advance(event)
      this.#release()
    } else {
      this.#hold(event)
    }
    this.#watch()
  }

  /** Notes that, by `heads`, the server has passed everything up to `seq` to this connection. */
  heard(seq) {
    this.#head = Math.max(this.#head, seq)
    this.#watch()
  }

  /** Moves the cursor to the end of a complete catch-up, unless live events have moved it further meanwhile. */
  synced({ epoch, seq, run }) {
    const further = this.#position?.epoch === epoch && this.#position.seq > seq
    if (!further) this.#moveTo({ epoch, seq, run: run ?? undefined })
    this.#release()
    this.#watch()
  }

  /** Starts over at this position: nothing that came before counts. */
  reset({ epoch, seq, run }) {
    this.#moveTo({ epoch, seq, run: run ?? undefined })
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

  /** Forgets what was held and announced on the lost connection; the position stays. */
  disconnect() {
    this.#syncing = false
    this.#forget()
  }

  // Internal

  #follows(event) {
    return this.#position !== null && event.prev <= this.#position.seq && event.seq > this.#position.seq
  }

  #moveTo(position) {
    this.#position = position
    this.#whole = null
    this.#upto = 0
  }

  #advance(event) {
    const position = { epoch: this.#position.epoch, seq: event.seq, run: event.run ?? this.#position.run }
    if (event.upto > event.seq) {
      this.#whole ??= this.#position
      this.#upto = Math.max(this.#upto, event.upto)
    }
    if (event.seq >= this.#upto) this.#moveTo(position)
    else this.#position = position
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

  /** Starts or ends the wait for missing events. */
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
    // The missing event came, and another one is missing now: that one gets a wait of its own.
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
