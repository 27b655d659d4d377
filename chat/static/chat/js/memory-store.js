/** @typedef {{key: string, owner: string, room: string, id: string, text: string, mode: any, parked?: any}} StoredDraft */
/** @typedef {{key: string, id: string}} DraftName */

/**
 * Where unsent messages and drafts wait, so that these survive the end of the tab, the browser and the machine.
 * @typedef {object} LocalStore
 * @property {boolean} isDurable
 * @property {boolean} [isRead] false: the last `list` could not read the disk, and returned what was known
 * @property {boolean} [isKept] false: something that it holds would be lost with this tab
 * @property {() => void} [changed] called when `isKept` or the order of an item has changed
 * @property {() => void} [stop] does nothing by itself any more
 * @property {() => Promise<string>} [identity] which database this is: another one if it was cleared meanwhile
 * @property {(item: object, draft?: DraftName | null) => Promise<number>} add appends an item and removes the draft that
 *   it was, if that still has this id, in one step; resolves with its `order` once it is on disk
 * @property {(item: object) => Promise<void>} put replaces the item with the same `order`
 * @property {(order: number) => Promise<void>} remove
 * @property {(owner: string) => Promise<object[]>} list one owner's items in order; `isHere`: unknown to other tabs
 * @property {(key: string) => Promise<StoredDraft | null>} draft
 * @property {(owner: string) => Promise<StoredDraft[]>} drafts
 * @property {(draft: StoredDraft) => Promise<void>} keepDraft replaces the draft with the same key
 * @property {(name: DraftName) => Promise<void>} dropDraft unless it has another id by now
 */

/**
 * For tests, and for browsers that store nothing: there a closed tab loses what was not sent, and the page says so.
 * @implements {LocalStore}
 */
export class MemoryStore {
  isDurable = false
  #items = new Map()
  #drafts = new Map()
  #order

  /** @param {number} [order] new items get higher orders than this */
  constructor(order = 0) {
    this.#order = order
  }

  get isEmpty() {
    return this.#items.size + this.#drafts.size === 0
  }

  /** All items in order, whoever they belong to. */
  get items() {
    return [...this.#items.values()]
  }

  /** All drafts, whoever they belong to. */
  get allDrafts() {
    return [...this.#drafts.values()]
  }

  async add(item, draft = null) {
    this.#order += 1
    this.#items.set(this.#order, { ...item, order: this.#order })
    if (draft) await this.dropDraft(draft)
    return this.#order
  }

  async put(item) {
    if (this.#items.has(item.order)) this.#items.set(item.order, { ...item })
  }

  async remove(order) {
    this.#items.delete(order)
  }

  async list(owner) {
    return this.items.filter((item) => item.owner === owner).map((item) => ({ ...item }))
  }

  async draft(key) {
    return this.#drafts.get(key) ?? null
  }

  async drafts(owner) {
    return this.allDrafts.filter((draft) => draft.owner === owner)
  }

  async keepDraft(draft) {
    this.#drafts.set(draft.key, { ...draft })
  }

  async dropDraft({ key, id }) {
    if (this.#drafts.get(key)?.id === id) this.#drafts.delete(key)
  }
}
