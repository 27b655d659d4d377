import { ChatError, DEFAULT_LIMITS, encode, resultOf } from "./protocol.js"

const REPLY_MS = 30_000
/** After so long without an answer, the connection is asked whether it is alive; again after each such time. */
const OVERDUE_MS = 10_000
/** Longer for a sync: its pages come before the reply, at the pace at which this client reads them. */
const SYNC_REPLY_MS = 90_000

/** Commands that are sent again after `rate.limited`, and the limit that each belongs to. */
const LIMITS = { history: "reads", "member.list": "reads", "room.list": "reads", "presence.set": "reads", sync: "syncs" }

export const disconnected = () =>
  new ChatError({ code: "client.disconnected", message: "There is no connection right now.", retry: true })

/** Sends the commands of one connection, and matches the replies to them. */
export class Requests {
  /** How many commands may be unanswered at once. The server would refuse more, so further ones wait here. */
  limit = DEFAULT_LIMITS.unanswered
  #clock
  #send
  #overdue
  #ref = 0
  #place = 0
  #unanswered = new Map()
  #queued = []
  #held

  /**
   * @param {import("./clock.js").Clock} clock
   * @param {(frame: string) => void} send
   * @param {() => void} overdue called while a command has had no answer for long
   * @param {{reads: import("./held-reads.js").HeldReads, syncs: import("./held-reads.js").HeldReads}} held what the
   *   server's limits hold back; they outlast the connection
   */
  constructor(clock, send, overdue, held) {
    this.#clock = clock
    this.#send = send
    this.#overdue = overdue
    this.#held = held
    held.reads.wake = held.syncs.wake = () => this.#sendNext()
  }

  /** Sends a `ping` past the commands that wait. Its answer says nothing that any frame would not say. */
  ping() {
    this.#send(encode({ type: "ping" }, (this.#ref += 1)))
  }

  /**
   * @returns {Promise<object>} the result
   * @throws {ChatError} refused, unreadable (`server.error`), `client.disconnected` or `client.no_reply`
   */
  ask(command) {
    return new Promise((resolve, reject) => {
      this.#queued.push({ command, place: (this.#place += 1), resolve, reject, timer: null, watch: null })
      this.#sendNext()
    })
  }

  answered({ ref, ok, result, error }) {
    const waiting = this.#unanswered.get(ref)
    if (!waiting) return
    this.#unanswered.delete(ref)
    this.#stopTimers(waiting)
    const held = this.#heldLike(waiting)
    if (held && error?.code === "rate.limited") held.refused(waiting, error.retryAfterMs)
    else {
      held?.answered(waiting)
      this.#settle(waiting, { ok, result, error })
    }
    this.#sendNext()
  }

  #settle(waiting, { ok, result, error }) {
    try {
      if (ok) waiting.resolve(resultOf(waiting.command, result))
      else waiting.reject(error)
    } catch (unreadable) {
      waiting.reject(unreadable)
    }
  }

  /** The reads that have the same limit as this request; undefined for one that is not sent again. */
  #heldLike({ command }) {
    return this.#held[LIMITS[command.type]]
  }

  /** Rejects all requests: the connection is gone, and whether the server did what it was asked is unknown. */
  abandon() {
    const orphans = [...this.#unanswered.values(), ...this.#queued, ...this.#held.reads.clear(), ...this.#held.syncs.clear()]
    this.#unanswered.clear()
    this.#queued = []
    for (const orphan of orphans) {
      this.#stopTimers(orphan)
      orphan.reject(disconnected())
    }
  }

  #sendNext() {
    while (this.#unanswered.size < this.limit) {
      const next = this.#next()
      if (!next) return
      this.#sendNow(next)
    }
  }

  #next() {
    const next = this.#held.reads.next() ?? this.#held.syncs.next()
    if (next) return next
    while (this.#queued.length) {
      const waiting = this.#queued.shift()
      const held = this.#heldLike(waiting)
      if (!held?.mustWait) return waiting
      held.hold(waiting)
    }
    return null
  }

  #sendNow(waiting) {
    const ref = (this.#ref += 1)
    this.#unanswered.set(ref, waiting)
    waiting.timer = this.#clock.after(() => this.#giveUp(ref), waiting.command.type === "sync" ? SYNC_REPLY_MS : REPLY_MS)
    this.#watch(waiting)
    this.#send(encode(waiting.command, ref))
  }

  #watch(waiting) {
    waiting.watch = this.#clock.after(() => {
      this.#watch(waiting)
      this.#overdue()
    }, OVERDUE_MS)
  }

  #stopTimers({ timer, watch }) {
    this.#clock.cancel(timer)
    this.#clock.cancel(watch)
  }

  #giveUp(ref) {
    const waiting = this.#unanswered.get(ref)
    this.#unanswered.delete(ref)
    this.#stopTimers(waiting)
    this.#heldLike(waiting)?.answered(waiting)
    waiting.reject(new ChatError({ code: "client.no_reply", message: "The server did not answer.", retry: true }))
    this.#sendNext()
  }
}
