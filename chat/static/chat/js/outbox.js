// Delivers messages: durable, in order per room, one unanswered at a time. Each is stored exactly once, however often
// the connection, the tab or the machine goes down in between (docs/protocol.md, section 4, point 5).

import { Backoff } from "./backoff.js"
import { Emitter } from "./emitter.js"
import { checkMessage, postOf } from "./message-limits.js"
import { ChatError } from "./protocol.js"
import { uuid } from "./uuid.js"

const PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000

/** @typedef {{order: number, owner: string, clientId: string, room: string, body: string, replyTo: string | null,
 *   createdAt: string, state: "queued" | "failed" | "stored", error: {code: string, message: string} | null,
 *   epoch?: string, seq?: number}} Item  `stored`: acknowledged, and not yet seen in the room's stream */

/** Emits `change` with a room's id. */
export class Outbox extends Emitter {
  /** @type {Item[]} the store's items in order; the last known ones while it can't be read */
  #items = []
  /** @type {Map<number, Item | null>} changes that the store failed to take, by order; null: a removal */
  #untold = new Map()
  /** @type {Map<string, Item>} acknowledged items by client id */
  #stored = new Map()
  #posting = new Map()
  #pauses = new Map()
  #reads = 0
  /** @type {{backoff: Backoff, timer: any} | null} set while the store can't be read: when to try again */
  #unread = null
  /** Whether the store was ever read: before that, it may hold older messages, which must be sent first. */
  #wasRead = false
  #isLive = false
  #features = []
  #owner
  #store
  #tabs
  #clock
  #request
  #limits

  /**
   * @param {object} options
   * @param {string} options.owner site and user; nobody else's messages are ever sent
   * @param {import("./outbox-store.js").OutboxStore} options.store
   * @param {import("./tabs.js").Tabs} options.tabs
   * @param {import("./clock.js").Clock} options.clock
   * @param {(command: object) => Promise<object>} options.request
   * @param {() => {frameBytes: number, bodyChars: number}} options.limits the current ones
   */
  constructor({ owner, store, tabs, clock, request, limits }) {
    super()
    this.#owner = owner
    this.#store = store
    this.#tabs = tabs
    this.#clock = clock
    this.#request = request
    this.#limits = limits
  }

  // Lifecycle

  async start() {
    this.#tabs.on("news", (news) => this.#heard(news))
    this.#tabs.on("lead", () => this.#reload())
    this.#tabs.start()
    await this.#reload()
  }

  stop() {
    this.disconnected()
    this.#endUnread()
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
    this.#posting.clear()
    this.#pauses.forEach(({ timer }) => this.#clock.cancel(timer))
    this.#pauses.clear()
  }

  // Actions

  get isDurable() {
    return this.#store.isDurable
  }

  /**
   * Returns a room's messages that its stream has not brought yet.
   * @returns {(Item & {pause?: string})[]} in order; `pause`: the code of the error that makes them wait
   */
  pending(room) {
    const stored = [...this.#stored.values()].filter((item) => item.room === room)
    const waiting = this.#items.filter((item) => item.room === room && !this.#stored.has(item.clientId))
    const { timer, code: pause } = this.#pauses.get(room) ?? {}
    const shown = timer ? waiting.map((item) => ({ ...item, pause })) : waiting
    return [...stored, ...shown].sort((a, b) => a.order - b.order)
  }

  /**
   * Stores a message and sends it as soon as possible.
   * @param {{room: string, body: string, replyTo?: string | null}} message
   * @throws {import("./protocol.js").ChatError} the server would refuse it
   * @throws {DOMException} the browser could not store it
   */
  async add({ room, body, replyTo = null }) {
    const createdAt = new Date(this.#clock.now()).toISOString()
    const written = { owner: this.#owner, clientId: uuid(), room, body: body.trim(), replyTo, createdAt }
    const item = { ...written, state: "queued", error: null }
    checkMessage(item, this.#limits())
    this.#hold({ ...item, order: await this.#store.add(item) })
    await this.#changed(room)
  }

  /** Queues a failed message again, behind those that wait. */
  async retry(clientId) {
    const item = this.#items.find((each) => each.clientId === clientId && each.state === "failed")
    if (!item) return
    const { order, ...again } = item
    // On the server, this id belongs to another text for ever.
    if (item.error.code === "message.client_id_conflict") again.clientId = uuid()
    const queued = { ...again, state: "queued", error: null }
    this.#hold({ ...queued, order: await this.#store.add(queued) })
    await this.#takeOut(order)
    await this.#changed(item.room)
  }

  async discard(clientId) {
    const item = this.#items.find((each) => each.clientId === clientId && each.state === "failed")
    if (!item) return
    await this.#takeOut(item.order)
    await this.#changed(item.room)
  }

  /** Forgets acknowledged messages that the room's stream has reached, or that are of another epoch. */
  settle(room, { epoch, seq }) {
    for (const item of this.#stored.values()) {
      if (item.room === room && (item.epoch !== epoch || item.seq <= seq)) this.#stored.delete(item.clientId)
    }
  }

  // Internal

  async #changed(room) {
    this.#tabs.tell({ room })
    await this.#reload(room)
  }

  #heard({ room, stored }) {
    if (stored) this.#stored.set(stored.clientId, stored)
    this.#reload(room)
  }

  /** Shows a stored item, whether or not the next read of the store succeeds. */
  #hold(item) {
    this.#items = [...this.#items, item]
    this.emit("change", item.room)
  }

  /**
   * Reads the store, the truth that all tabs share. The result of a read that a later one has overtaken is dropped.
   * After a failed read the known items stay, and it is repeated.
   */
  async #reload(room = null) {
    const read = (this.#reads += 1)
    const items = await this.#store.list(this.#owner).catch(() => null)
    if (read !== this.#reads) return
    if (items && this.#store.isRead !== false) this.#endUnread()
    else this.#readAgain()
    this.#wasRead ||= this.#unread === null
    const rooms = room ? [room] : new Set([...this.#items, ...(items ?? [])].map((item) => item.room))
    this.#items = (items ?? this.#items).map((item) => this.#asKnown(item)).filter(Boolean)
    for (const each of rooms) this.emit("change", each)
    this.#pump()
  }

  #asKnown(item) {
    return this.#untold.has(item.order) ? this.#untold.get(item.order) : item
  }

  #readAgain() {
    this.#unread ??= { backoff: new Backoff(this.#clock), timer: null }
    this.#unread.timer ??= this.#clock.after(() => {
      this.#unread.timer = null
      this.#reload()
    }, this.#unread.backoff.nextMs())
  }

  #endUnread() {
    this.#clock.cancel(this.#unread?.timer)
    this.#unread = null
  }

  #pump() {
    if (!this.#isLive) return
    const heads = new Map()
    for (const item of this.#items) {
      if (item.state === "queued" && !this.#stored.has(item.clientId) && !heads.has(item.room)) heads.set(item.room, item)
    }
    const own = [...heads].filter(([, item]) => item.isHere || (this.#tabs.leads && this.#wasRead))
    if (own.length < heads.size) this.#tabs.claim()
    for (const [room, item] of own) {
      if (this.#posting.has(room) || this.#pauses.get(room)?.timer) continue
      // The server refuses a field that it does not know for good: the room waits for a server that knows it.
      if (!item.attachments?.length || this.#features.includes("attachments")) this.#post(item)
    }
  }

  async #post(item) {
    const turn = {}
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
    await this.#changed(item.room)
  }

  /** @param {Item} item @param {{result?: any, error?: any}} outcome @param {boolean} isCurrent */
  async #settleOutcome(item, { result, error }, isCurrent) {
    if (result) {
      /** @type {Item} */
      const stored = { ...item, state: "stored", epoch: result.epoch, seq: result.seq }
      this.#stored.set(item.clientId, stored)
      this.#pauses.delete(item.room)
      this.#tabs.tell({ room: item.room, stored })
      // If the disk fails here, the next page sends the item again, and the server answers it as a repeat.
      await this.#remove(item.order)
    } else if (error instanceof ChatError && !error.retry) {
      const failed = { ...item, state: "failed", error: { code: error.code, message: error.message } }
      await this.#store.put(failed).catch((problem) => this.#toldInVain(item.order, failed, problem))
    } else if (isCurrent) {
      // Only the server's answer settles a message: after anything else its outcome is unknown.
      this.#pause(item.room, error ?? {})
    }
  }

  async #takeOut(order) {
    await this.#remove(order)
    this.#items = this.#items.filter((each) => each.order !== order)
  }

  async #remove(order) {
    await this.#store.remove(order).catch((problem) => this.#toldInVain(order, null, problem))
  }

  /** Remembers a change that the store did not take: the item would come back from it and be sent over and over. */
  #toldInVain(order, item, problem) {
    this.#untold.set(order, item)
    reportError(problem)
  }

  #pause(room, { code, retryAfterMs }) {
    const ms = Math.min(LONGEST_PAUSE_MS, (this.#pauses.get(room)?.ms ?? PAUSE_MS / 2) * 2)
    const pause = { ms, code, timer: null }
    this.#pauses.set(room, pause)
    pause.timer = this.#clock.after(() => {
      pause.timer = null
      this.#pump()
      this.emit("change", room)
    }, retryAfterMs ?? ms)
  }
}
