// What somebody has begun to write in a room. It outlives reload, tab, browser and crash, and belongs to one person on
// one site: whoever signs in next in the same browser has drafts of their own.

const PAUSE_MS = 300

/** @typedef {{text: string, mode: {name: "new"} | {name: "reply" | "edit", message: {id: string, number: number,
 *   author: {id: string, name: string} | null}}, parked?: Draft | null}} Draft  `parked`: what waits behind an edit */

/** One room's draft as this tab keeps it. The last tab that was typed in wins; the others follow. */
export class DraftKeeper {
  #key
  #storage
  #clock
  #timer = null
  #unsaved = null

  /**
   * @param {object} options
   * @param {string} options.owner site and user @param {string} options.room id
   * @param {Storage} options.storage `localStorage`: it is on its way to the disk when the tab is gone
   * @param {import("./clock.js").Clock} options.clock
   */
  constructor({ owner, room, storage, clock }) {
    this.#key = `chat-draft|${owner}|${room}`
    this.#storage = storage
    this.#clock = clock
  }

  /** @returns {Draft | null} */
  read() {
    try {
      return JSON.parse(this.#storage.getItem(this.#key))
    } catch {
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
    this.#unsaved = null
    if (!draft) return
    try {
      if (draft.text.trim() === "" && draft.mode.name === "new" && !draft.parked) this.#storage.removeItem(this.#key)
      else this.#storage.setItem(this.#key, JSON.stringify(draft))
    } catch {
      // Full, or forbidden: writing must go on without it.
    }
  }

  /**
   * Another tab has changed something in the storage.
   * @param {string | null} key null: all of it was cleared
   * @returns {boolean} whether this tab should show what is stored now: not while it has words of its own to save
   */
  isNews(key) {
    return (key === this.#key || key === null) && this.#unsaved === null
  }
}
