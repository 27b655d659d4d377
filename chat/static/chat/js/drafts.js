// A draft is what somebody has begun to write in a room. It survives reloads, crashes and the closing of the tab or the
// browser. It belongs to one person on one site: the next person to sign in in the same browser does not see it.

import { Backoff } from "./backoff.js"
import { Emitter } from "./emitter.js"
import { uuid } from "./uuid.js"

const PAUSE_MS = 300

/** @typedef {{text: string, mode: {name: "new"} | {name: "reply" | "edit", message: {id: string, number: number,
 *   author: {id: string, name: string} | null, excerpt?: string}}, parked?: Draft | null}} Draft
 *   `parked`: the draft that an edit interrupted */
/** @typedef {{room: string, was: string | null, id: string | null}} DraftNews the draft's id before and after; null: none */

/**
 * The drafts of one person. Emits `change` (DraftNews) when a tab, this one or another, has stored or removed one, and
 * `news` when that was another tab.
 */
export class Drafts extends Emitter {
  #owner
  #tabs
  #store
  /** @type {Map<string, string>} the ids of the drafts, by room */
  #ids = new Map()

  /**
   * @param {object} options
   * @param {string} options.owner site and user
   * @param {Promise<import("./memory-store.js").LocalStore>} options.store
   * @param {import("./tabs.js").Tabs} options.tabs
   */
  constructor({ owner, store, tabs }) {
    super()
    this.#owner = owner
    this.#store = store
    this.#tabs = tabs
  }

  /** Learns in which rooms there are drafts. */
  async start() {
    this.#tabs.on("news", ({ draft }) => draft && this.#heard(draft))
    const stored = await (await this.#store).drafts(this.#owner).catch(() => [])
    for (const { room, id } of stored) this.#changed(room, id)
  }

  /** Whether a draft is stored for a room. */
  has(room) {
    return this.#ids.has(room)
  }

  /** @returns {Promise<(Draft & {id: string}) | null>} */
  async read(room) {
    const draft = await (await this.#store).draft(this.name(room).key)
    this.#changed(room, draft?.id ?? null)
    return draft
  }

  /** @param {string} room @param {Draft & {id: string}} draft */
  async write(room, draft) {
    await (await this.#store).keepDraft({ ...draft, ...this.name(room, draft.id), owner: this.#owner, room })
    this.#tell(room, draft.id)
  }

  /** Removes the draft with this id, if it is the room's. */
  async remove(room, id) {
    await (await this.#store).dropDraft(this.name(room, id))
    this.sent(room, id)
  }

  /** The draft with this id is stored as a message in its place. */
  sent(room, id) {
    if (this.#ids.get(room) === id) this.#tell(room, null)
  }

  /** @returns {import("./memory-store.js").DraftName} */
  name(room, id = "") {
    return { key: `${this.#owner}|${room}`, id }
  }

  #tell(room, id) {
    this.#tabs.tell({ draft: { room, was: this.#ids.get(room) ?? null, id } })
    this.#changed(room, id)
  }

  #heard(news) {
    this.#changed(news.room, news.id)
    this.emit("news", news)
  }

  #changed(room, id) {
    const was = this.#ids.get(room) ?? null
    if (was === id) return
    if (id) this.#ids.set(room, id)
    else this.#ids.delete(room)
    this.emit("change", { room, was, id })
  }
}

/**
 * Keeps one room's draft for this tab. The tab that begins a draft gives it an id; another tab that shows it uses the
 * same id, and follows whichever tab changes or sends it. A draft with another id never replaces the words shown here,
 * and sending those words does not remove it.
 */
export class DraftKeeper {
  #room
  #drafts
  #clock
  #timer = null
  #unsaved = null
  #found
  #wasRead = false
  #isSending = false
  /** @type {{backoff: Backoff, timer: any} | null} set while the stored draft can't be read: when to try again */
  #unread = null
  /** The id of the draft shown here; null: there is none. */
  #id = null

  /**
   * @param {object} options
   * @param {string} options.room id @param {Drafts} options.drafts
   * @param {import("./clock.js").Clock} options.clock
   * @param {() => void} [options.found] called when a draft that could not be read before can be `read`
   */
  constructor({ room, drafts, clock, found = () => {} }) {
    this.#room = room
    this.#drafts = drafts
    this.#found = found
    this.#clock = clock
  }

  /** Whether the stored draft was not read yet, or can't be. Nothing is written over it then. */
  get isUnread() {
    return !this.#wasRead || this.#unread !== null
  }

  /** Whether something was written here that is not stored yet. */
  get isUnsaved() {
    return this.#unsaved !== null
  }

  /** Reads the stored draft, which this tab shows from now on. @returns {Promise<Draft | null>} null: see `isUnread` */
  async read() {
    try {
      const stored = await this.#drafts.read(this.#room)
      this.#wasRead = true
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
    if (!draft || this.isUnread || this.#isSending) return
    this.#unsaved = null
    if (draft.text.trim() === "" && draft.mode.name === "new" && !draft.parked) {
      if (this.#id) this.#drafts.remove(this.#room, this.#id).catch(reportError)
      this.#id = null
    } else {
      this.#id ??= uuid()
      this.#drafts.write(this.#room, { ...draft, id: this.#id }).catch(reportError)
    }
  }

  /**
   * Lets `send` make a message of the draft. Until that has succeeded the draft stays as it is, for of the two it alone
   * would survive a crash; what is written meanwhile is stored afterwards, as another draft.
   * @param {(draft: import("./memory-store.js").DraftName | null) => Promise<boolean>} send resolves with whether the
   *   draft is used up
   */
  async send(send) {
    this.#isSending = true
    const id = this.#id
    try {
      if (!(await send(id && this.#drafts.name(this.#room, id)))) return
      if (id) this.#drafts.sent(this.#room, id)
      if (this.#id === id) this.#id = null
    } finally {
      this.#isSending = false
    }
  }

  disconnect() {
    this.flush()
    this.#endUnread()
  }

  /**
   * Judges what another tab has done.
   * @param {DraftNews} news @param {boolean} isEmpty whether no text is shown here
   * @returns {boolean} whether to show the stored draft now; false if words of this tab would be lost
   */
  isNews({ room, was, id }, isEmpty) {
    if (room !== this.#room || this.#unsaved || this.#isSending) return false
    return isEmpty || (id ?? was) === this.#id
  }

  #readAgain() {
    this.#unread ??= { backoff: new Backoff(this.#clock), timer: null }
    this.#unread.timer ??= this.#clock.after(async () => {
      this.#unread.timer = null
      const stored = await this.read()
      if (stored) this.#found()
      else this.flush()
    }, this.#unread.backoff.nextMs())
  }

  #endUnread() {
    this.#clock.cancel(this.#unread?.timer)
    this.#unread = null
  }
}
