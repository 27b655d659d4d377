import { ChatError, DEFAULT_LIMITS, encode, resultOf } from "./protocol.js"

const REPLY_MS = 30_000
/** Longer for a sync: its pages come before the reply, at the pace at which this client reads them. */
const SYNC_REPLY_MS = 90_000

export const disconnected = () =>
  new ChatError({ code: "client.disconnected", message: "There is no connection right now.", retry: true })

/** Sends the commands of one connection, and matches the replies to them. */
export class Requests {
  /** How many commands may be unanswered at once. The server would refuse more, so further ones wait here. */
  limit = DEFAULT_LIMITS.unanswered
  #clock
  #send
  #ref = 0
  #unanswered = new Map()
  #queued = []

  /**
   * @param {import("./clock.js").Clock} clock
   * @param {(frame: string) => void} send
   */
  constructor(clock, send) {
    this.#clock = clock
    this.#send = send
  }

  /**
   * @returns {Promise<object>} the result
   * @throws {ChatError} refused, unreadable (`server.error`), `client.disconnected` or `client.no_reply`
   */
  ask(command) {
    return new Promise((resolve, reject) => {
      const waiting = { command, resolve, reject, timer: null }
      if (this.#unanswered.size >= this.limit) this.#queued.push(waiting)
      else this.#sendNow(waiting)
    })
  }

  answered({ ref, ok, result, error }) {
    const waiting = this.#unanswered.get(ref)
    if (!waiting) return
    this.#unanswered.delete(ref)
    this.#clock.cancel(waiting.timer)
    try {
      if (ok) waiting.resolve(resultOf(waiting.command, result))
      else waiting.reject(error)
    } catch (unreadable) {
      waiting.reject(unreadable)
    }
    this.#sendNext()
  }

  /** Rejects all requests: the connection is gone, and whether the server did what it was asked is unknown. */
  abandon() {
    const orphans = [...this.#unanswered.values(), ...this.#queued]
    this.#unanswered.clear()
    this.#queued = []
    for (const { timer, reject } of orphans) {
      this.#clock.cancel(timer)
      reject(disconnected())
    }
  }

  #sendNext() {
    if (this.#queued.length) this.#sendNow(this.#queued.shift())
  }

  #sendNow(waiting) {
    const ref = (this.#ref += 1)
    this.#unanswered.set(ref, waiting)
    waiting.timer = this.#clock.after(() => this.#giveUp(ref), waiting.command.type === "sync" ? SYNC_REPLY_MS : REPLY_MS)
    this.#send(encode(waiting.command, ref))
  }

  #giveUp(ref) {
    const { reject } = this.#unanswered.get(ref)
    this.#unanswered.delete(ref)
    reject(new ChatError({ code: "client.no_reply", message: "The server did not answer.", retry: true }))
    this.#sendNext()
  }
}
