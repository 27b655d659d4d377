// Where unsent messages survive the tab, the browser and the machine. Both stores behave alike; the memory one is for
// tests and for browsers that offer no storage (there a closed tab loses what was not sent, and the page says so).

/**
 * @typedef {object} OutboxStore
 * @property {boolean} isDurable
 * @property {boolean} [isRead] false: the last `list` holds what is known without the disk, which could not be read
 * @property {(item: object) => Promise<number>} add stores at the end; resolves with its `order` once it is on disk
 * @property {(item: object) => Promise<void>} put replaces the item of the same `order`
 * @property {(order: number) => Promise<void>} remove
 * @property {(owner: string) => Promise<object[]>} list one owner's items in order; `isHere`: no other tab knows of it
 */

/** @implements {OutboxStore} */
export class MemoryStore {
  isDurable = false
  #items = new Map()
  #order

  /** @param {number} [order] what it keeps comes behind all that has a lower one */
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

  /** @returns {Promise<IndexedDbStore>} @throws {DOMException} the browser keeps nothing for this page */
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

  /** An item that another tab has taken out meanwhile stays out. */
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

  /** Resolves when it is on the disk, not when the browser has heard of it: a message shown as kept must be. */
  #write(work) {
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(ITEMS, "readwrite", { durability: "strict" })
      const request = work(transaction.objectStore(ITEMS))
      transaction.oncomplete = () => resolve(request.result)
      transaction.onabort = transaction.onerror = () => reject(transaction.error)
    })
  }
}

/** A store that says nothing for so long counts as one that failed. */
const PATIENCE_MS = 5_000
/** No disk comes to so many. */
const SPILLED = 2 ** 50

/**
 * Keeps in memory what the disk refuses, being full or cleared: nobody is kept from writing. While it can't be read, what
 * it was last known to hold stands for it.
 */
export class SpillingStore extends MemoryStore {
  isRead = true
  #disk
  /** @type {Map<number, object>} what the disk holds as this page knows, by order */
  #known = new Map()
  /** @type {Map<number, number>} what the disk took too late, and holds beside the memory: the order there, by that here */
  #late = new Map()
  #patienceMs

  /** @param {OutboxStore | null} disk null: there is none */
  constructor(disk, patienceMs = PATIENCE_MS) {
    super(SPILLED)
    this.#disk = disk
    this.#patienceMs = patienceMs
    this.isDurable = disk !== null
  }

  async add(item) {
    const keep = () => super.add(item)
    // Never before what is in memory already.
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

  /** The disk took an item after all: it survives the tab there, but what becomes of it is decided here. */
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

/** The durable store; where the browser refuses it, or never answers (Safari has been seen to), one in memory. */
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
