import { Backoff } from "./backoff.js"
import { Emitter } from "./emitter.js"

/** @typedef {{order: number, owner: string, clientId: string, room: string, body: string, replyTo: string | null,
 *   createdAt: string, state: "queued" | "failed" | "stored", error: {code: string, message: string} | null,
 *   epoch?: string, seq?: number, attachments?: string[], isHere?: boolean}} Item
 *   `stored`: acknowledged, and not yet seen in the room's stream; `isHere`: not on disk, so lost with this tab */

/**
 * One person's unsent messages as this tab knows them: what the store holds, which all tabs share, and what the store
 * has not taken yet. Emits `change` with a room's id, and `read` after each read, when the order is certain.
 */
export class OutboxItems extends Emitter {
  /** @type {Item[]} the store's items in order; the last known ones while it can't be read */
  #items = []
  /** @type {Map<string, Item>} items that the store is about to take, by client id */
  #coming = new Map()
  /** @type {Map<number, Item | null>} changes that the store failed to take, by order; null: a removal */
  #untold = new Map()
  #reads = 0
  /** @type {{backoff: Backoff, timer: any} | null} set while the store fails: when to try again */
  #trouble = null
  #owner
  #store
  #clock

  /** Whether the store was ever read: before that, it may hold older messages, which must be sent first. */
  wasRead = false

  /**
   * @param {object} options
   * @param {string} options.owner site and user
   * @param {import("./memory-store.js").LocalStore} options.store
   * @param {import("./clock.js").Clock} options.clock
   */
  constructor({ owner, store, clock }) {
    super()
    this.#owner = owner
    this.#store = store
    this.#clock = clock
    store.changed = () => this.read()
  }

  stop() {
    this.#endTrouble()
    this.#store.stop?.()
  }

  /** Whether the store holds all that it was given. */
  get isKept() {
    return (this.#store.isKept ?? this.#store.isDurable) && this.#untold.size === 0
  }

  /** @returns {Item[]} in order */
  get all() {
    return [...this.#items, ...this.#coming.values()]
  }

  /** @returns {Item[]} those that can be sent, in order: what comes before them is certain */
  get queued() {
    return this.#items.filter(({ state }) => state === "queued")
  }

  find(clientId) {
    return this.#items.find((each) => each.clientId === clientId)
  }

  /**
   * Shows an item at once, and resolves when it is in the store.
   * @param {any} written without `order` @param {import("./memory-store.js").DraftName | null} [draft] the one it was
   * @param {number | null} [replaces] the order of an item that it stands for from now on, and which is removed next
   */
  async add(written, draft = null, replaces = null) {
    if (replaces !== null) this.#untold.set(replaces, null)
    this.#items = this.#items.filter((each) => each.order !== replaces)
    this.#coming.set(written.clientId, { ...written, order: Infinity, isHere: true })
    this.emit("change", written.room)
    try {
      const order = await this.#store.add(written, draft)
      // Shown whether or not the next read succeeds.
      if (!this.#items.some((each) => each.order === order)) this.#items = [...this.#items, { ...written, order }]
    } finally {
      this.#coming.delete(written.clientId)
      this.emit("change", written.room)
    }
    await this.read(written.room)
  }

  /** @param {Item} item */
  async put(item) {
    await this.#store.put(item).catch((problem) => this.#toldInVain(item.order, item, problem))
    this.#items = this.#items.map((each) => (each.order === item.order ? item : each))
  }

  async remove(order) {
    const told = this.#store.remove(order).then(() => this.#untold.delete(order))
    await told.catch((problem) => this.#toldInVain(order, null, problem))
    this.#items = this.#items.filter((each) => each.order !== order)
  }

  /**
   * Reads the store. The result of a read that a later one has overtaken is dropped. After a failed read the known items
   * stay, and it is repeated.
   */
  async read(room = null) {
    const read = (this.#reads += 1)
    const items = await this.#store.list(this.#owner).catch(() => null)
    if (read !== this.#reads) return
    const isRead = items !== null && this.#store.isRead !== false
    this.wasRead ||= isRead
    if (!isRead) this.#againSoon()
    else if (this.#untold.size === 0) this.#endTrouble()
    const rooms = room ? [room] : new Set([...this.#items, ...(items ?? [])].map((item) => item.room))
    this.#items = (items ?? this.#items).map((item) => this.#asKnown(item)).filter(Boolean)
    for (const each of rooms) this.emit("change", each)
    this.emit("read")
  }

  #asKnown(item) {
    return this.#untold.has(item.order) ? this.#untold.get(item.order) : item
  }

  /** Remembers a change that the store did not take: the item would come back from it and be sent over and over. */
  #toldInVain(order, item, problem) {
    this.#untold.set(order, item)
    reportError(problem)
    this.#againSoon()
  }

  #againSoon() {
    this.#trouble ??= { backoff: new Backoff(this.#clock), timer: null }
    this.#trouble.timer ??= this.#clock.after(() => this.#again(), this.#trouble.backoff.nextMs())
  }

  async #again() {
    for (const [order, item] of [...this.#untold]) {
      const told = item ? this.#store.put(item) : this.#store.remove(order)
      await told.then(() => this.#untold.get(order) === item && this.#untold.delete(order), () => {})
    }
    if (this.#trouble) this.#trouble.timer = null
    if (this.#untold.size) this.#againSoon()
    await this.read()
  }

  #endTrouble() {
    this.#clock.cancel(this.#trouble?.timer)
    this.#trouble = null
  }
}
