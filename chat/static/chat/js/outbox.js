// Delivers messages: durable, in order per room, one unanswered at a time. Each is stored exactly once, however often
// the connection, the tab or the machine goes down in between (docs/protocol.md, section 4, point 5).

import { Emitter } from "./emitter.js"
import { checkMessage, postOf } from "./message-limits.js"
import { OutboxItems } from "./outbox-items.js"
import { Refusals } from "./refusals.js"
import { uuid } from "./uuid.js"

/** @typedef {import("./outbox-items.js").Item} Item */

const PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000
/** After this time it shows that a message is not sent yet. */
const LATE_MS = 3_000
/** A tab that has got nothing answered for this long is taken for dead, whatever it says of its connection. */
const STUCK_MS = 4_000

/** Emits `change` with a room's id. */
export class Outbox extends Emitter {
  /** @type {Map<string, Item>} acknowledged items by client id */
  #stored = new Map()
  #posting = new Map()
  #pauses = new Map()
  /** @type {Map<string, {clientId: string, timer: any}>} by room, the message that another tab is to send */
  #watched = new Map()
  #isLive = false
  #features = []
  #items
  #refusals
  #owner
  #tabs
  #clock
  #request
  #limits

  /**
   * @param {object} options
   * @param {string} options.owner site and user; nobody else's messages are ever sent
   * @param {import("./memory-store.js").LocalStore} options.store
   * @param {import("./tabs.js").Tabs} options.tabs
   * @param {import("./clock.js").Clock} options.clock
   * @param {(command: object) => Promise<object>} options.request
   * @param {() => {frameBytes: number, bodyChars: number, deadlineS?: number}} options.limits the current ones
   */
  constructor({ owner, store, tabs, clock, request, limits }) {
    super()
    this.#owner = owner
    this.#tabs = tabs
    this.#clock = clock
    this.#request = request
    this.#limits = limits
    this.#items = new OutboxItems({ owner, store, clock })
    this.#refusals = new Refusals(clock, () => (limits().deadlineS ?? 0) * 1_000)
    this.#items.on("change", (room) => this.emit("change", room))
    this.#items.on("read", () => this.#pump())
  }

  // Lifecycle

  async start() {
    this.#tabs.on("news", (news) => this.#heard(news))
    this.#tabs.on("lead", () => {
      this.#refusals.takesLead()
      this.#items.read()
    })
    this.#tabs.start()
    await this.#items.read()
  }

  stop() {
    this.disconnected()
    this.#items.stop()
    this.#tabs.stop()
  }

  /** Starts sending: the owner is signed in on a live connection, to a server that has these features. */
  connected(features = []) {
    this.#isLive = true
    this.#features = features
    this.#pump()
  }

  /** Stops sending. An unanswered message has an unknown outcome: it stays first and is repeated with its client id. */
  disconnected() {
    this.#isLive = false
    for (const { clientId } of this.#posting.values()) this.#refusals.mayBeSent(clientId)
    this.#posting.clear()
    for (const waits of [this.#pauses, this.#watched]) {
      waits.forEach(({ timer }) => this.#clock.cancel(timer))
      waits.clear()
    }
  }

  // Actions

  /** Whether all unsent messages outlive this tab. */
  get isKept() {
    return this.#items.isKept
  }

  /**
   * Returns a room's messages that its stream has not brought yet.
   * @returns {(Item & {pause?: string, isLate?: boolean})[]} in order; `pause`: the code of the error that makes them
   *   wait; `isLate`: it has taken longer than usual
   */
  pending(room) {
    const stored = [...this.#stored.values()].filter((item) => item.room === room)
    const waiting = this.#items.all.filter((item) => item.room === room && !this.#stored.has(item.clientId))
    const { timer, code: pause } = this.#pauses.get(room) ?? {}
    const shown = waiting.map((item) => ({ ...item, isLate: this.#isLate(item), ...(timer && { pause }) }))
    return [...stored, ...shown].sort((a, b) => a.order - b.order)
  }

  /** @returns {Item[]} what was refused, or waits for longer than usual, of all rooms, in order */
  get unsent() {
    const isUnsent = (item) => item.state === "failed" || this.#isLate(item)
    return this.#items.all.filter((item) => !this.#stored.has(item.clientId) && isUnsent(item))
  }

  /**
   * Stores a message and sends it as soon as possible.
   * @param {{room: string, body: string, replyTo?: string | null,
   *   draft?: import("./memory-store.js").DraftName | null}} message `draft`: the one that it was, removed with it
   * @throws {import("./protocol.js").ChatError} the server would refuse it
   * @throws {DOMException} the browser could not store it
   */
  async add({ room, body, replyTo = null, draft = null }) {
    const createdAt = new Date(this.#clock.now()).toISOString()
    const written = { owner: this.#owner, clientId: uuid(), room, body: body.trim(), replyTo, createdAt }
    const item = { ...written, state: "queued", error: null }
    checkMessage(item, this.#limits())
    this.#refusals.isNew(item.clientId)
    this.#clock.after(() => this.emit("change", room), LATE_MS)
    await this.#items.add(item, draft)
    this.#tabs.tell({ room })
  }

  /** Queues a failed message again, behind those that wait. */
  async retry(clientId) {
    const item = this.#items.find(clientId)
    if (item?.state !== "failed") return
    /** @type {Partial<Item>} */
    const again = { ...item, state: "queued", error: null }
    delete again.order
    delete again.isHere
    // On the server, this id belongs to another text for ever.
    if (item.error.code === "message.client_id_conflict") again.clientId = uuid()
    await this.#items.add(again, null, item.order)
    await this.#takeOut(item)
  }

  async discard(clientId) {
    const item = this.#items.find(clientId)
    if (item?.state === "failed") await this.#takeOut(item)
  }

  /** Forgets acknowledged messages that the room's stream has reached, or that are of another epoch. */
  settle(room, { epoch, seq }) {
    for (const item of this.#stored.values()) {
      if (item.room === room && (item.epoch !== epoch || item.seq <= seq)) this.#stored.delete(item.clientId)
    }
  }

  // Callbacks

  /** @param {{room?: string, stored?: Item, tried?: {clientId: string, againMs: number}}} news of another tab */
  #heard({ room, stored, tried }) {
    if (!room) return
    if (tried) return this.#watchOne(room, tried.clientId, tried.againMs)
    if (stored) this.#stored.set(stored.clientId, stored)
    this.#items.read(room)
  }

  // Internal

  #isLate({ state, createdAt }) {
    return state === "queued" && this.#clock.now() - Date.parse(createdAt) >= LATE_MS
  }

  #pump() {
    if (!this.#isLive) return
    /** @type {Map<string, Item>} */
    const heads = new Map()
    for (const item of this.#items.queued) {
      if (!this.#stored.has(item.clientId) && !heads.has(item.room)) heads.set(item.room, item)
    }
    const isOwn = ([, item]) => item.isHere || (this.#tabs.leads && this.#items.wasRead)
    const [own, others] = [[...heads].filter(isOwn), [...heads].filter((each) => !isOwn(each))]
    if (others.length) this.#tabs.claim()
    this.#watch(others)
    for (const [room, item] of own) {
      if (this.#posting.has(room) || this.#pauses.get(room)?.timer) continue
      // The server refuses a field that it does not know for good: the room waits for a server that knows it.
      if (!item.attachments?.length || this.#features.includes("attachments")) this.#post(item)
    }
  }

  /** Takes over from a tab that gets nothing answered. It costs repeats at most, which the server answers as such. */
  #watch(others) {
    const heads = new Map(others)
    for (const [room, { clientId }] of [...this.#watched]) if (heads.get(room)?.clientId !== clientId) this.#unwatch(room)
    for (const [room, { clientId }] of heads) {
      if (!this.#watched.has(room)) this.#watchOne(room, clientId)
    }
  }

  /** @param {string} room @param {string} clientId @param {number} [againMs] when the other tab will try again */
  #watchOne(room, clientId, againMs = 0) {
    this.#unwatch(room)
    const timer = this.#clock.after(() => this.#tabs.takeOver(), againMs + STUCK_MS)
    this.#watched.set(room, { clientId, timer })
  }

  #unwatch(room) {
    this.#clock.cancel(this.#watched.get(room)?.timer)
    this.#watched.delete(room)
  }

  async #post(item) {
    const turn = { clientId: item.clientId }
    this.#posting.set(item.room, turn)
    /** @type {{result?: any, error?: any}} */
    let outcome
    try {
      outcome = { result: await this.#request(postOf(item)) }
    } catch (error) {
      outcome = { error }
    }
    const isCurrent = this.#posting.get(item.room) === turn
    try {
      await this.#settleOutcome(item, outcome, isCurrent)
    } finally {
      // Whatever went wrong here, the room's next message must get its turn.
      if (isCurrent) this.#posting.delete(item.room)
    }
    await this.#items.read(item.room)
  }

  /** @param {Item} item @param {{result?: any, error?: any}} outcome @param {boolean} isCurrent */
  async #settleOutcome(item, { result, error }, isCurrent) {
    const refusal = result ? null : this.#refusals.judge(item, error)
    if (result) {
      /** @type {Item} */
      const stored = { ...item, state: "stored", epoch: result.epoch, seq: result.seq }
      this.#stored.set(item.clientId, stored)
      this.#pauses.delete(item.room)
      this.#refusals.acknowledged(item.clientId)
      this.#tabs.tell({ room: item.room, stored })
      // If the disk fails here, the next page sends the item again, and the server answers it as a repeat.
      await this.#items.remove(item.order)
    } else if (refusal?.isFinal) {
      await this.#items.put({ ...item, state: "failed", error: { code: error.code, message: error.message } })
      this.#tabs.tell({ room: item.room })
    } else if (isCurrent) {
      // Only the server's answer settles a message: after anything else its outcome is unknown.
      const againMs = this.#pause(item.room, error ?? {}, refusal?.waitMs)
      if (refusal?.isAnswer) this.#tabs.tell({ room: item.room, tried: { clientId: item.clientId, againMs } })
    }
  }

  async #takeOut(item) {
    await this.#items.remove(item.order)
    this.#tabs.tell({ room: item.room })
    await this.#items.read(item.room)
  }

  /** @returns {number} after how many milliseconds the room's next message is sent */
  #pause(room, { code, retryAfterMs }, waitMs) {
    const ms = Math.min(LONGEST_PAUSE_MS, (this.#pauses.get(room)?.ms ?? PAUSE_MS / 2) * 2)
    const pause = { ms, code, timer: null }
    const againMs = waitMs ?? retryAfterMs ?? ms
    this.#pauses.set(room, pause)
    pause.timer = this.#clock.after(() => {
      pause.timer = null
      this.#pump()
      this.emit("change", room)
    }, againMs)
    return againMs
  }
}
