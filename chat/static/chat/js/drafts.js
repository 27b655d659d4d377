// A draft is what somebody has begun to write in a room. It survives reloads, crashes and the closing of the tab or the
// browser. It belongs to one person on one site: the next person to sign in in the same browser does not see it.

import { Backoff } from "./backoff.js"
import { uuid } from "./uuid.js"

const PAUSE_MS = 300

/** @typedef {{text: string, mode: {name: "new"} | {name: "reply" | "edit", message: {id: string, number: number,
 *   author: {id: string, name: string} | null, excerpt?: string}}, parked?: Draft | null}} Draft
 *   `parked`: the draft that an edit interrupted */

/** @typedef {{key: string | null, oldValue: string | null, newValue: string | null}} StorageNews of a StorageEvent */

const keyOf = (owner, room) => `chat-draft|${owner}|${room}`

/** Returns the storage for drafts; null if the browser is set to store nothing, when mere access to it throws. */
export function shelf() {
  try {
    return localStorage
  } catch {
    return null
  }
}

/** Whether a draft is stored; false if unreadable. @param {string} owner site and user @param {string} room id */
export function hasDraft(owner, room) {
  try {
    return Boolean(shelf()?.getItem(keyOf(owner, room)))
  } catch {
    return false
  }
}

/**
 * Keeps one room's draft for this tab. The tab that begins a draft gives it an id; another tab that shows it uses the
 * same id, and follows whichever tab changes or sends it. A draft with another id never replaces the words shown here,
 * and sending those words does not remove it.
 */
export class DraftKeeper {
  #key
  #storage
  #clock
  #timer = null
  #unsaved = null
  #found
  /** @type {{backoff: Backoff, timer: any} | null} set while the stored draft can't be read: when to try again */
  #unread = null
  /** The id of the draft shown here; null: there is none. */
  #id = null

  /**
   * @param {object} options
   * @param {string} options.owner site and user @param {string} options.room id
   * @param {Storage | null} options.storage `localStorage`, which outlives the tab; null: the browser stores nothing
   * @param {import("./clock.js").Clock} options.clock
   * @param {() => void} [options.found] called when a draft that could not be read before can be `read`
   */
  constructor({ owner, room, storage, clock, found = () => {} }) {
    this.#key = keyOf(owner, room)
    this.#found = found
    this.#storage = storage
    this.#clock = clock
  }

  /** Whether the stored draft can't be read. Nothing is written over it then. */
  get isUnread() {
    return this.#unread !== null
  }

  /** Reads the stored draft, which this tab shows from now on. @returns {Draft | null} null: none, or see `isUnread` */
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

  /** Stores the draft soon, and not at each key. @param {Draft} draft as it is now */
  keep(draft) {
    this.#unsaved = draft
    this.#timer ??= this.#clock.after(() => this.flush(), PAUSE_MS)
  }

  /** Stores an unsaved draft now, because the page may be about to close. Only what was typed here is written. */
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
      // The storage is full or forbidden: the person must be able to write without it.
    }
    if (isNone) this.#id = null
  }

  disconnect() {
    this.flush()
    this.#endUnread()
  }

  /**
   * Judges a change that another tab has made to the storage.
   * @param {StorageNews} news @param {boolean} isEmpty whether no text is shown here
   * @returns {boolean} whether to show the stored draft now; false if words of this tab would be lost
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
