// Where unsent messages survive the tab, the browser and the machine. Both stores behave alike; the memory one is for
// tests and for browsers that offer no storage (there a closed tab loses what was not sent, and the page says so).

/**
 * @typedef {object} OutboxStore
 * @property {boolean} isDurable
 * @property {(item: object) => Promise<number>} add stores at the end; resolves with its `order` once it is on disk
 * @property {(item: object) => Promise<void>} put replaces the item of the same `order`
 * @property {(order: number) => Promise<void>} remove
 * @property {(owner: string) => Promise<object[]>} list one owner's items in order
 */

/** @implements {OutboxStore} */
export class MemoryStore {
  isDurable = false
  #items = new Map()
  #order = 0

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

/** The durable store, or the one in memory where there is no other. */
export const openStore = () => IndexedDbStore.open().catch(() => new MemoryStore())

const settled = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result)
  request.onerror = () => reject(request.error)
})
