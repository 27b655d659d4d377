// What somebody has begun to write in a room. It outlives reload, tab, browser and crash, and belongs to one person on
// one site: whoever signs in next in the same browser has drafts of their own.

import { Backoff } from "./backoff.js"
import { uuid } from "./uuid.js"

const PAUSE_MS = 300

/** @typedef {{text: string, mode: {name: "new"} | {name: "reply" | "edit", message: {id: string, number: number,
 *   author: {id: string, name: string} | null, excerpt?: string}}, parked?: Draft | null}} Draft  `parked`: what waits behind an edit */

/** @typedef {{key: string | null, oldValue: string | null, newValue: string | null}} StorageNews as a StorageEvent tells it */

const keyOf = (owner, room) => `chat-draft|${owner}|${room}`

/** Where drafts are kept; a browser that is told to keep nothing refuses even to name it. */
export function shelf() {
  try {
    return localStorage
  } catch {
    return null
  }
}

/** Whether anything waits to be sent there; not known is no. @param {string} owner site and user @param {string} room id */
export function hasDraft(owner, room) {
  try {
    return Boolean(shelf()?.getItem(keyOf(owner, room)))
  } catch {
    return false
  }
}

/**
 * One room's draft as this tab keeps it. Whoever begins one gives it an id; a tab that shows it goes on with that id, and
 * follows whichever tab writes on or sends it. Drafts that were begun apart leave each other alone.
 */
export class DraftKeeper {
  #key
  #storage
  #clock
  #timer = null
  #unsaved = null
  #found
  /** @type {{backoff: Backoff, timer: any} | null} what is stored could not be read, and is to be read again */
  #unread = null
  /** The draft's that is shown here; null: nothing is. */
  #id = null

  /**
   * @param {object} options
   * @param {string} options.owner site and user @param {string} options.room id
   * @param {Storage | null} options.storage `localStorage`: it is on its way to the disk when the tab is gone; null: the
   *   browser keeps nothing
   * @param {import("./clock.js").Clock} options.clock
   * @param {() => void} [options.found] there is a draft to `read` that could not be read before
   */
  constructor({ owner, room, storage, clock, found = () => {} }) {
    this.#key = keyOf(owner, room)
    this.#found = found
    this.#storage = storage
    this.#clock = clock
  }

  /** Whether what is stored could not be read. Nothing is written over it then. */
  get isUnread() {
    return this.#unread !== null
  }

  /** What is stored, to be shown here from now on. @returns {Draft | null} null: nothing, or see `isUnread` */
  read() {
    try {
      const stored = parsed(this.#storage?.getItem(this.#key))
      this.#endUnread()
      this.#id = stored?.id ?? null
      return stored
    } catch {
      this.#readAgain()
      return null
    }
  }

  /** Soon, so that a fast writer's disk has some rest. @param {Draft} draft as it is now */
  keep(draft) {
    this.#unsaved = draft
    this.#timer ??= this.#clock.after(() => this.flush(), PAUSE_MS)
  }

  /** At once, if there is anything: the page may be about to go. What was not typed here is never written. */
  flush() {
    this.#clock.cancel(this.#timer)
    this.#timer = null
    const draft = this.#unsaved
    if (!draft || this.isUnread) return
    const isNone = draft.text.trim() === "" && draft.mode.name === "new" && !draft.parked
    if (!isNone) this.#id ??= uuid()
    try {
      if (!isNone) this.#storage.setItem(this.#key, JSON.stringify({ ...draft, id: this.#id }))
      else if (parsed(this.#storage.getItem(this.#key))?.id === this.#id) this.#storage.removeItem(this.#key)
      this.#unsaved = null
    } catch {
      // Full, or forbidden: writing must go on without it.
    }
    if (isNone) this.#id = null
  }

  disconnect() {
    this.flush()
    this.#endUnread()
  }

  /**
   * Another tab has changed something in the storage.
   * @param {StorageNews} news @param {boolean} isEmpty whether nothing is written here
   * @returns {boolean} whether this tab should show what is stored now: never in the place of words of its own
   */
  isNews({ key, oldValue, newValue }, isEmpty) {
    if (key !== this.#key || this.#unsaved) return false
    return isEmpty || parsed(newValue ?? oldValue)?.id === this.#id
  }

  #readAgain() {
    this.#unread ??= { backoff: new Backoff(this.#clock), timer: null }
    this.#unread.timer ??= this.#clock.after(() => {
      this.#unread.timer = null
      const stored = this.read()
      if (stored) this.#found()
      else this.flush()
    }, this.#unread.backoff.nextMs())
  }

  #endUnread() {
    this.#clock.cancel(this.#unread?.timer)
    this.#unread = null
  }
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
