import { ChatError, DEFAULT_LIMITS, encode, resultOf } from "./protocol.js"

const REPLY_MS = 30_000
/** After so long without an answer, the connection is asked whether it is alive; again after each such time. */
const OVERDUE_MS = 10_000
/** Longer for a sync: its pages come before the reply, at the pace at which this client reads them. */
const SYNC_REPLY_MS = 90_000

/** Commands that only read: refused because of the server's limit, they are sent again when the server says so. */
const READS = new Set(["history", "member.list", "room.list", "sync"])
const LIMITED_MS = 1_000

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
  #unanswered = new Map()
  #queued = []
  #later = new Set()

  /**
   * @param {import("./clock.js").Clock} clock
   * @param {(frame: string) => void} send
   * @param {() => void} overdue called while a command has had no answer for long
   */
  constructor(clock, send, overdue) {
    this.#clock = clock
    this.#send = send
    this.#overdue = overdue
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
      this.#enter({ command, resolve, reject, timer: null, watch: null })
    })
  }

  answered({ ref, ok, result, error }) {
    const waiting = this.#unanswered.get(ref)
    if (!waiting) return
    this.#unanswered.delete(ref)
    this.#stopTimers(waiting)
    if (error?.code === "rate.limited" && READS.has(waiting.command.type)) this.#askLater(waiting, error)
    else this.#settle(waiting, { ok, result, error })
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

  #askLater(waiting, { retryAfterMs }) {
    this.#later.add(waiting)
    waiting.timer = this.#clock.after(() => {
      this.#later.delete(waiting)
      this.#enter(waiting)
    }, retryAfterMs ?? LIMITED_MS)
  }

  #enter(waiting) {
    if (this.#unanswered.size >= this.limit) this.#queued.push(waiting)
    else this.#sendNow(waiting)
  }

  /** Rejects all requests: the connection is gone, and whether the server did what it was asked is unknown. */
  abandon() {
    const orphans = [...this.#unanswered.values(), ...this.#queued, ...this.#later]
    this.#unanswered.clear()
    this.#queued = []
    this.#later.clear()
    for (const orphan of orphans) {
      this.#stopTimers(orphan)
      orphan.reject(disconnected())
    }
  }

  #sendNext() {
    if (this.#queued.length) this.#sendNow(this.#queued.shift())
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
    waiting.reject(new ChatError({ code: "client.no_reply", message: "The server did not answer.", retry: true }))
    this.#sendNext()
  }
}
