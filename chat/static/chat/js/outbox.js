// Messages on their way: durable, in order per room, one unanswered at a time, each stored exactly once however often
// connection, tab or machine go down in between (docs/protocol.md, section 4, point 5).

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
  /** @type {Item[]} what the store holds, in order; as it was last known while it can't be read */
  #items = []
  /** @type {Map<number, Item | null>} what the store was told in vain, by order: null, that an item is done with */
  #untold = new Map()
  /** @type {Map<string, Item>} acknowledged ones, by client id */
  #stored = new Map()
  #posting = new Map()
  #pauses = new Map()
  #reads = 0
  /** @type {{backoff: Backoff, timer: any} | null} the store could not be read, and is to be read again */
  #unread = null
  /** Until the store was read once, nobody knows what comes before what is written here. */
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
   * @param {string} options.owner site and user: nobody else's messages are ever sent
   * @param {import("./outbox-store.js").OutboxStore} options.store
   * @param {import("./tabs.js").Tabs} options.tabs
   * @param {import("./clock.js").Clock} options.clock
   * @param {(command: object) => Promise<object>} options.request
   * @param {() => {frameBytes: number, bodyChars: number}} options.limits those in force
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

  /** The owner is signed in on a live connection, to a server that has these features. */
  connected(features = []) {
    this.#isLive = true
    this.#features = features
    this.#pump()
  }

  /** What was unanswered has an unknown outcome: it stays at the head and is sent again with the same client id. */
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
   * A room's messages that are not seen in its stream yet.
   * @returns {(Item & {pause?: string})[]} in order; `pause`: the code of what makes them wait
   */
  pending(room) {
    const stored = [...this.#stored.values()].filter((item) => item.room === room)
    const waiting = this.#items.filter((item) => item.room === room && !this.#stored.has(item.clientId))
    const { timer, code: pause } = this.#pauses.get(room) ?? {}
    const shown = timer ? waiting.map((item) => ({ ...item, pause })) : waiting
    return [...stored, ...shown].sort((a, b) => a.order - b.order)
  }

  /**
   * Keeps a message and sends it as soon as it can be.
   * @param {{room: string, body: string, replyTo?: string | null}} message
   * @throws {import("./protocol.js").ChatError} the server would refuse it @throws {DOMException} the browser could not keep it
   */
  async add({ room, body, replyTo = null }) {
    const createdAt = new Date(this.#clock.now()).toISOString()
    const written = { owner: this.#owner, clientId: uuid(), room, body: body.trim(), replyTo, createdAt }
    const item = { ...written, state: "queued", error: null }
    checkMessage(item, this.#limits())
    this.#hold({ ...item, order: await this.#store.add(item) })
    await this.#changed(room)
  }

  /** Sends a failed message once more, behind those that wait. */
  async retry(clientId) {
    const item = this.#items.find((each) => each.clientId === clientId && each.state === "failed")
    if (!item) return
    const { order, ...again } = item
    // This id belongs to another text on the server for ever.
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

  /** The room's stream has come so far: acknowledged messages up to there need no place of their own any more. */
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

  /** What was kept is there, whether or not the next read shows it. */
  #hold(item) {
    this.#items = [...this.#items, item]
    this.emit("change", item.room)
  }

  /**
   * The store is the truth, shared with the other tabs; a read that a later one has overtaken is dropped. One that failed
   * says nothing: what is held stays, and it is tried again.
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
      // A field that the server does not know would be refused for good: the room waits for a server that does.
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
      // Whatever went wrong here, the next one's turn comes.
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
      // If the disk fails here the next page sends the item again, and it is answered as the repeat it is.
      await this.#remove(item.order)
    } else if (error instanceof ChatError && !error.retry) {
      const failed = { ...item, state: "failed", error: { code: error.code, message: error.message } }
      await this.#store.put(failed).catch((problem) => this.#toldInVain(item.order, failed, problem))
    } else if (isCurrent) {
      // Only the server's word ends a message: after anything else its outcome is unknown.
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

  /** On this page it counts all the same: an item that came back from the store would be sent again without end. */
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
