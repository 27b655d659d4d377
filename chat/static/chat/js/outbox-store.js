// Stores for unsent messages, so that these survive the end of the tab, the browser and the machine. All stores behave
// alike; MemoryStore is for tests and for browsers without storage, where a closed tab loses what was not sent, and the
// page says so.

/**
 * @typedef {object} OutboxStore
 * @property {boolean} isDurable
 * @property {boolean} [isRead] false: the last `list` could not read the disk, and returned what was known
 * @property {(item: object) => Promise<number>} add appends an item; resolves with its `order` once it is on disk
 * @property {(item: object) => Promise<void>} put replaces the item with the same `order`
 * @property {(order: number) => Promise<void>} remove
 * @property {(owner: string) => Promise<object[]>} list one owner's items in order; `isHere`: unknown to other tabs
 */

/** @implements {OutboxStore} */
export class MemoryStore {
  isDurable = false
  #items = new Map()
  #order

  /** @param {number} [order] new items get higher orders than this */
  constructor(order = 0) {
    this.#order = order
  }

  async add(item) {
    this.#order += 1
    this.#items.set(this.#order, { ...item, order: this.#order })
    return this.#order
  }

  async put(item) {
    if (this.#items.has(item.order)) this.#items.set(item.order, { ...item })
  }

  async remove(order) {
    this.#items.delete(order)
  }

  async list(owner) {
    return [...this.#items.values()].filter((item) => item.owner === owner).map((item) => ({ ...item }))
  }
}

const DATABASE = "chat-outbox"
const ITEMS = "items"

/** One IndexedDB database for all owners of this origin. @implements {OutboxStore} */
export class IndexedDbStore {
  isDurable = true
  #database

  /** @param {IDBDatabase} database */
  constructor(database) {
    this.#database = database
  }

  /** @returns {Promise<IndexedDbStore>} @throws {DOMException} the browser stores nothing for this page */
  static async open(name = DATABASE) {
    const request = indexedDB.open(name, 1)
    request.onupgradeneeded = () => {
      const items = request.result.createObjectStore(ITEMS, { keyPath: "order", autoIncrement: true })
      items.createIndex("owner", "owner")
    }
    return new IndexedDbStore(await settled(request))
  }

  add(item) {
    return this.#write((items) => items.add(item))
  }

  /** Replaces an item, unless another tab has removed it meanwhile. */
  async put(item) {
    await this.#write((items) => {
      const held = items.getKey(item.order)
      held.onsuccess = () => held.result !== undefined && items.put(item)
      return held
    })
  }

  async remove(order) {
    await this.#write((items) => items.delete(order))
  }

  async list(owner) {
    const items = this.#database.transaction(ITEMS).objectStore(ITEMS)
    const found = await settled(items.index("owner").getAll(owner))
    return found.sort((a, b) => a.order - b.order)
  }

  /** Resolves when the change is on disk, not when the browser accepts it: a message shown as kept must be kept. */
  #write(work) {
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(ITEMS, "readwrite", { durability: "strict" })
      const request = work(transaction.objectStore(ITEMS))
      transaction.oncomplete = () => resolve(request.result)
      transaction.onabort = transaction.onerror = () => reject(transaction.error)
    })
  }
}

/** A store that does not answer within this time counts as failed. */
const PATIENCE_MS = 5_000
/** Items in memory have higher orders than this, which no disk ever reaches. */
const SPILLED = 2 ** 50

/**
 * Keeps in memory what the disk refuses because it is full or was cleared, so that people can always write. While the
 * disk can't be read, its last known contents stand in for it.
 */
export class SpillingStore extends MemoryStore {
  isRead = true
  #disk
  /** @type {Map<number, object>} the last known contents of the disk, by order */
  #known = new Map()
  /** @type {Map<number, number>} items that a late disk holds as well: order in memory to order on disk */
  #late = new Map()
  #patienceMs

  /** @param {OutboxStore | null} disk null: the browser has none */
  constructor(disk, patienceMs = PATIENCE_MS) {
    super(SPILLED)
    this.#disk = disk
    this.#patienceMs = patienceMs
    this.isDurable = disk !== null
  }

  async add(item) {
    const keep = () => super.add(item)
    // While older items are in memory, new ones go there too: on disk they would come first.
    const isBehind = !this.#disk || (await super.list(item.owner)).length > 0
    if (isBehind) return keep()
    const adding = this.#disk.add(item)
    return this.#inTime(adding).then((order) => {
      this.#known.set(order, { ...item, order })
      return order
    }, async () => {
      const order = await keep()
      adding.then((late) => this.#keptTwice(item.owner, order, late)).catch(() => {})
      return order
    })
  }

  async put(item) {
    if (item.order > SPILLED) return super.put(item)
    await this.#inTime(this.#disk.put(item))
    if (this.#known.has(item.order)) this.#known.set(item.order, { ...item })
  }

  async remove(order) {
    if (order > SPILLED) {
      await super.remove(order)
      if (!this.#late.has(order)) return
      order = this.#late.get(order)
    }
    await this.#inTime(this.#disk.remove(order))
    this.#known.delete(order)
  }

  async list(owner) {
    if (this.#disk) await this.#read(owner)
    const here = await super.list(owner)
    const twice = new Set(here.map(({ order }) => this.#late.get(order)))
    const known = [...this.#known.values()].filter((item) => item.owner === owner && !twice.has(item.order))
    known.sort((a, b) => a.order - b.order)
    return [...known, ...here.map((item) => ({ ...item, isHere: true }))]
  }

  /** The disk has stored an item after all: that copy survives the tab, but the one in memory decides its fate. */
  async #keptTwice(owner, order, late) {
    const isHeld = (await super.list(owner)).some((item) => item.order === order)
    if (!isHeld) return this.#disk.remove(late)
    this.#late.set(order, late)
  }

  async #read(owner) {
    try {
      const found = await this.#inTime(this.#disk.list(owner))
      this.#known = new Map(found.map((item) => [item.order, item]))
      this.isRead = true
    } catch {
      this.isRead = false
    }
  }

  #inTime(work) {
    return inTime(work, this.#patienceMs)
  }
}

/** Opens the durable store, or one in memory where the browser refuses or never answers (seen in Safari). */
export async function openStore(patienceMs = PATIENCE_MS) {
  return new SpillingStore(await inTime(IndexedDbStore.open(), patienceMs).catch(() => null))
}

const inTime = (work, ms) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new DOMException("The store does not answer.", "TimeoutError")), ms)
  work.then(resolve, reject).finally(() => clearTimeout(timer))
})

const settled = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result)
  request.onerror = () => reject(request.error)
})
