// The store of a page: the disk, and the memory for what the disk refuses.

import { Backoff } from "./backoff.js"
import { systemClock } from "./clock.js"
import { IndexedDbStore } from "./indexed-db-store.js"
import { MemoryStore } from "./memory-store.js"

/** @typedef {import("./memory-store.js").LocalStore} LocalStore */

/** A store that does not answer within this time counts as failed. */
const PATIENCE_MS = 5_000
/** Items in memory have higher orders than this, which no disk ever reaches. */
const SPILLED = 2 ** 50

/**
 * Keeps in memory what the disk refuses because it is full or was cleared, so that people can always write, and moves
 * it to the disk once that takes it. While the disk can't be read, its last known contents stand in for it.
 * @implements {LocalStore}
 */
export class SpillingStore {
  isRead = true
  changed = () => {}
  #disk
  #memory = new MemoryStore(SPILLED)
  /** @type {Map<number, object>} the last known contents of the disk, by order */
  #known = new Map()
  /** @type {Map<number, import("./memory-store.js").DraftName>} the drafts that items in memory were, by order */
  #draftOf = new Map()
  /** @type {Map<number, number>} where items are that had another order before: on disk, or in memory */
  #moved = new Map()
  /** Which database the known contents are those of. */
  #identity = null
  #patienceMs
  #clock
  #backoff
  #timer = null

  /** @param {LocalStore | null} disk null: the browser has none */
  constructor(disk, patienceMs = PATIENCE_MS, clock = systemClock) {
    this.#disk = disk
    this.#patienceMs = patienceMs
    this.#clock = clock
    this.#backoff = new Backoff(clock)
  }

  get isDurable() {
    return this.#disk !== null
  }

  get isKept() {
    return this.isDurable && this.#memory.isEmpty
  }

  async add(item, draft = null) {
    // While older items are in memory, new ones go there too: on disk they would come first.
    if (!this.#disk || this.#holdsOf(item.owner)) return this.#spill(item, draft)
    const adding = this.#disk.add(item, draft)
    return this.#inTime(adding).then(async (order) => {
      await this.#rescueCleared()
      if (this.#holdsOf(item.owner)) {
        // It came to a new disk before what was on the old one, and must not be sent before it.
        const spilled = await this.#spill(item, null)
        await this.#disk.remove(order).catch(() => {})
        return spilled
      }
      this.#known.set(order, { ...item, order })
      return order
    }, async () => {
      const order = await this.#spill(item, draft)
      adding.then((late) => this.#move(order, late)).catch(() => {})
      return order
    })
  }

  async put(item) {
    const order = this.#orderOf(item.order)
    if (order > SPILLED) return this.#memory.put(item)
    await this.#inTime(this.#disk.put({ ...item, order }))
    if (this.#known.has(order)) this.#known.set(order, { ...item, order })
  }

  async remove(order) {
    order = this.#orderOf(order)
    if (order > SPILLED) return this.#memory.remove(order).then(() => this.changed())
    await this.#inTime(this.#disk.remove(order))
    this.#known.delete(order)
  }

  async list(owner) {
    if (this.#disk) await this.#read(owner)
    const known = [...this.#known.values()].filter((item) => item.owner === owner)
    known.sort((a, b) => a.order - b.order)
    return [...known, ...(await this.#memory.list(owner)).map((item) => ({ ...item, isHere: true }))]
  }

  // Drafts

  async draft(key) {
    return (await this.#memory.draft(key)) ?? (this.#disk ? this.#inTime(this.#disk.draft(key)) : null)
  }

  async drafts(owner) {
    const here = await this.#memory.drafts(owner)
    const kept = this.#disk ? await this.#inTime(this.#disk.drafts(owner)).catch(() => []) : []
    return [...kept, ...here]
  }

  async keepDraft(draft) {
    try {
      await this.#inTime(this.#disk.keepDraft(draft))
      const older = await this.#memory.draft(draft.key)
      if (older) await this.#memory.dropDraft(older)
    } catch {
      await this.#memory.keepDraft(draft)
      this.#settleSoon()
    }
    this.changed()
  }

  async dropDraft(name) {
    await this.#memory.dropDraft(name)
    if (this.#disk) await this.#inTime(this.#disk.dropDraft(name))
  }

  /** Tries no more to move anything to the disk. */
  stop() {
    this.#clock.cancel(this.#timer)
  }

  // Internal

  async #spill(item, draft) {
    const order = await this.#memory.add(item, draft)
    // The draft stays on disk until the item is there: of the two, it alone would survive a crash.
    if (draft) this.#draftOf.set(order, draft)
    this.#settleSoon()
    this.changed()
    return order
  }

  #settleSoon() {
    if (!this.#disk) return
    this.#timer ??= this.#clock.after(() => this.#settle(), this.#backoff.nextMs())
  }

  /** Moves what is in memory to the disk, in order. */
  async #settle() {
    try {
      for (const { order, ...item } of this.#memory.items) {
        const adding = this.#disk.add(item, this.#draftOf.get(order) ?? null)
        adding.then((late) => this.#move(order, late)).catch(() => {})
        await this.#inTime(adding)
      }
      for (const draft of this.#memory.allDrafts) {
        await this.#inTime(this.#disk.keepDraft(draft))
        await this.#memory.dropDraft(draft)
      }
      this.#backoff = new Backoff(this.#clock)
    } catch {
      // It is tried again below.
    }
    this.#timer = null
    this.changed()
    if (!this.#memory.isEmpty) this.#settleSoon()
  }

  /** The disk has an item that is in memory as well, unless it was sent meanwhile or the disk has it twice. */
  async #move(order, late) {
    const item = this.#memory.items.find((each) => each.order === order)
    if (!item) return this.#disk.remove(late)
    this.#known.set(late, { ...item, order: late })
    this.#moved.set(order, late)
    this.#draftOf.delete(order)
    await this.#memory.remove(order)
    this.changed()
  }

  /** Where the item is by now that once had this order. */
  #orderOf(order) {
    while (this.#moved.has(order)) order = this.#moved.get(order)
    return order
  }

  /**
   * Takes what is known of a disk that was cleared into memory, from where it moves to the new one. Somebody who clears
   * a site's data sees these messages still, and they are sent.
   */
  async #rescueCleared() {
    const identity = await this.#disk.identity?.().catch(() => this.#identity)
    const isCleared = this.#identity !== null && identity !== this.#identity
    this.#identity = identity ?? null
    if (!isCleared) return
    const known = [...this.#known.values()].sort((a, b) => a.order - b.order)
    this.#known.clear()
    for (const { order, ...item } of known) this.#moved.set(order, await this.#spill(item, null))
  }

  #holdsOf(owner) {
    return this.#memory.items.some((item) => item.owner === owner)
  }

  async #read(owner) {
    try {
      const found = await this.#inTime(this.#disk.list(owner))
      await this.#rescueCleared()
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
