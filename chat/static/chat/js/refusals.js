// When a refusal is the last word on a message (docs/protocol.md, "Final refusals").

import { ChatError } from "./protocol.js"

/** A message that has met so many `server.error`s is not tried again, if the server stores other messages. */
const TROUBLES_AT_MOST = 5

/** Judges what the server answers to the messages of an outbox. */
export class Refusals {
  /** @type {Map<string, number | null>} until when an earlier sending may have reached a server; null: never sent */
  #sentUntil = new Map()
  /** @type {Map<string, {errors: number, acknowledged: number}>} `acknowledged`: how many others were, at the first error */
  #troubles = new Map()
  #acknowledged = 0
  /** Since when this tab sends: until then, another tab or page may have sent what was there already. */
  #leadsSince
  #clock
  #deadlineMs

  /** @param {import("./clock.js").Clock} clock @param {() => number} deadlineMs 0: the server announces none */
  constructor(clock, deadlineMs) {
    this.#clock = clock
    this.#deadlineMs = deadlineMs
    this.#leadsSince = clock.now()
  }

  /** From now on, this tab sends for all. */
  takesLead() {
    this.#leadsSince = this.#clock.now()
  }

  /** This message was made here, and nobody has sent it yet. */
  isNew(clientId) {
    this.#sentUntil.set(clientId, null)
  }

  /** The message was sent, and its outcome is unknown. */
  mayBeSent(clientId) {
    this.#sentUntil.set(clientId, this.#clock.now())
  }

  acknowledged(clientId) {
    this.#acknowledged += 1
    this.#sentUntil.delete(clientId)
    this.#troubles.delete(clientId)
  }

  /**
   * @param {{clientId: string, createdAt: string}} item @param {any} error what came in place of a result
   * @returns {{isFinal: boolean, isAnswer: boolean, waitMs?: number}} `isAnswer`: the server has said it; `waitMs`: when
   *   the same refusal would be final
   */
  judge({ clientId, createdAt }, error) {
    const isAnswer = error instanceof ChatError && !error.code.startsWith("client.")
    if (isAnswer && !error.retry) {
      const waitMs = this.#settledAt(clientId, createdAt) - this.#clock.now()
      return waitMs > 0 ? { isFinal: false, isAnswer, waitMs } : this.#final(clientId)
    }
    // After anything but a plain refusal, nobody knows whether the message is stored.
    if (!isAnswer || error.code === "server.error") this.mayBeSent(clientId)
    return isAnswer && error.code === "server.error" && this.#isHopeless(clientId)
      ? this.#final(clientId)
      : { isFinal: false, isAnswer }
  }

  /** From when on a refusal is the last word: no earlier sending can be stored after that. */
  #settledAt(clientId, createdAt) {
    const isOlder = Date.parse(createdAt) <= this.#leadsSince
    const sentUntil = this.#sentUntil.has(clientId) ? this.#sentUntil.get(clientId) : isOlder ? this.#leadsSince : null
    return sentUntil === null || !this.#deadlineMs() ? 0 : sentUntil + this.#deadlineMs()
  }

  /** Whether it is this message that the server fails on, and not the server that is in trouble. */
  #isHopeless(clientId) {
    const trouble = this.#troubles.get(clientId) ?? { errors: 0, acknowledged: this.#acknowledged }
    this.#troubles.set(clientId, trouble)
    trouble.errors += 1
    return trouble.errors >= TROUBLES_AT_MOST && this.#acknowledged > trouble.acknowledged
  }

  /** What is tried again by hand begins anew; that it may have been sent is remembered. */
  #final(clientId) {
    this.#troubles.delete(clientId)
    return { isFinal: true, isAnswer: true }
  }
}
