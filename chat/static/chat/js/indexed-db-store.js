import { takeOverDrafts } from "./old-drafts.js"
import { uuid } from "./uuid.js"

const DATABASE = "chat-outbox"
const VERSION = 3
const ITEMS = "items"
const DRAFTS = "drafts"
/** One row: which database this is. */
const IDENTITY = "identity"

/** @typedef {import("./memory-store.js").LocalStore} LocalStore */

/** One IndexedDB database for all owners of this origin. @implements {LocalStore} */
export class IndexedDbStore {
  isDurable = true
  #name
  /** @type {Promise<{database: IDBDatabase, identity: string}> | null} null: not open, or closed by the browser */
  #opening = null

  /** @param {string} name */
  constructor(name) {
    this.#name = name
  }

  /** @returns {Promise<IndexedDbStore>} @throws {DOMException} the browser stores nothing for this page */
  static async open(name = DATABASE) {
    const store = new IndexedDbStore(name)
    await store.#opened()
    return store
  }

  /** Another one than before: the database was deleted meanwhile, for instance when the site's data were cleared. */
  async identity() {
    return (await this.#opened()).identity
  }

  async add(item, draft = null) {
    let order = 0
    await this.#write((items, drafts) => {
      const added = items.add(item)
      added.onsuccess = () => (order = added.result)
      if (draft) dropFrom(drafts, draft)
    })
    return order
  }

  /** Replaces an item, unless another tab has removed it meanwhile. */
  put(item) {
    return this.#write((items) => {
      const held = items.getKey(item.order)
      held.onsuccess = () => held.result !== undefined && items.put(item)
    })
  }

  remove(order) {
    return this.#write((items) => void items.delete(order))
  }

  async list(owner) {
    const found = await this.#read((items) => items.index("owner").getAll(owner))
    return found.sort((a, b) => a.order - b.order)
  }

  async draft(key) {
    return (await this.#read((_, drafts) => drafts.get(key))) ?? null
  }

  drafts(owner) {
    return this.#read((_, drafts) => drafts.index("owner").getAll(owner))
  }

  async keepDraft(draft) {
    // The page may be about to close, which would end a transaction that waits to commit by itself.
    await this.#write((_, drafts) => void drafts.put(draft), true)
  }

  dropDraft(name) {
    return this.#write((_, drafts) => dropFrom(drafts, name))
  }

  /** Resolves when the change is on disk, not when the browser accepts it: what is shown as kept must be kept. */
  async #write(work, commits = false) {
    const transaction = await this.#transaction("readwrite")
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = transaction.onerror = () => reject(transaction.error)
      work(transaction.objectStore(ITEMS), transaction.objectStore(DRAFTS))
      if (commits) transaction.commit()
    })
  }

  async #read(work) {
    const transaction = await this.#transaction("readonly")
    return settled(work(transaction.objectStore(ITEMS), transaction.objectStore(DRAFTS)))
  }

  async #transaction(mode) {
    const begin = async () => (await this.#opened()).database.transaction([ITEMS, DRAFTS], mode, { durability: "strict" })
    // The browser may have closed the database without a word, for instance when the site's data were cleared.
    return begin().catch(() => {
      this.#opening = null
      return begin()
    })
  }

  #opened() {
    if (!this.#opening) {
      const opening = connect(this.#name, () => this.#opening === opening && (this.#opening = null))
      this.#opening = opening
      opening.catch(() => this.#opening === opening && (this.#opening = null))
    }
    return this.#opening
  }
}

/** @param {string} name @param {() => void} closed @returns {Promise<{database: IDBDatabase, identity: string}>} */
async function connect(name, closed) {
  const request = indexedDB.open(name, VERSION)
  let forgetOld = () => {}
  request.onupgradeneeded = ({ oldVersion }) => {
    if (oldVersion < 1) startAboveOlder(addStore(request.result, ITEMS, { keyPath: "order", autoIncrement: true }))
    if (oldVersion < 2) {
      const drafts = addStore(request.result, DRAFTS, { keyPath: "key" })
      forgetOld = takeOverDrafts((draft) => drafts.put(draft))
    }
    request.result.createObjectStore(IDENTITY).add(uuid(), 0)
  }
  const database = await settled(request)
  forgetOld()
  const identity = await settled(database.transaction(IDENTITY).objectStore(IDENTITY).get(0))
  database.onclose = closed
  // A newer page wants to change the database, which waits for all others to let go of it.
  database.onversionchange = () => {
    database.close()
    closed()
  }
  return { database, identity }
}

function addStore(database, name, options) {
  const store = database.createObjectStore(name, options)
  store.createIndex("owner", "owner")
  return store
}

/** Orders of a database that was deleted are never given again: a page may still act on what had them. */
function startAboveOlder(items) {
  const order = Date.now() * 100
  items.add({ order, owner: "" }).onsuccess = () => items.delete(order)
}

function dropFrom(drafts, { key, id }) {
  const held = drafts.get(key)
  held.onsuccess = () => held.result?.id === id && drafts.delete(key)
}

const settled = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result)
  request.onerror = () => reject(request.error)
})
