// The part of a room's messages that this page holds, with one's own reactions, and how it grows: by events as they
// come, by pages of history as somebody asks (docs/protocol.md, section 4, "Merging").

import { History } from "./history.js"
import { Timeline } from "./timeline.js"

export class Conversation {
  timeline = new Timeline()
  /** @type {Map<string, string[]>} own reactions by message id, as far as known */
  mine = new Map()
  #history
  #me

  /**
   * @param {object} options
   * @param {string} options.room id
   * @param {string} options.me the user's id
   * @param {(command: object) => Promise<any>} options.request
   * @param {import("./clock.js").Clock} options.clock
   */
  constructor({ room, me, request, clock }) {
    this.#me = me
    this.#history = new History({ room, request, clock })
  }

  get isLoading() {
    return this.#history.isUnderWay
  }

  /** A message as an event or a catch-up brings it. `mine`: one's own reactions, where it says so. */
  take(message, mine) {
    this.#history.keep(message, mine)
    this.#merge(message, mine)
  }

  /**
   * Loads one page; while another is under way nothing is asked.
   * @param {{before?: number, after?: number, around?: number}} which none: the newest
   * @param {() => {epoch: string, seq: number} | null} cursor where the room stands now
   * @returns {Promise<"merged" | "abandoned" | "epoch">} see History
   * @throws {import("./protocol.js").ChatError}
   */
  load(which, cursor) {
    return this.#history.load(which, cursor, (page, kept) => {
      this.timeline.mergePage(page)
      const asHeld = page.messages.filter((each) => this.timeline.at(each.number).changedSeq === each.changedSeq)
      asHeld.forEach(({ id }) => this.mine.set(id, page.mine.get(id) ?? []))
      kept.forEach(([message, mine]) => this.#merge(message, mine))
    })
  }

  /** The page that is under way will not come, or shows a state that is void. */
  abandonLoading() {
    this.#history.abandon()
  }

  clear() {
    this.abandonLoading()
    this.timeline.clear()
    this.mine.clear()
  }

  #merge(message, mine) {
    if (!this.timeline.merge(message)) return
    this.mine.set(message.id, mine ?? this.#ownReactions(message))
  }

  /** A live event is the same for everybody: one's own are among the first 50 people, or as known before. */
  #ownReactions({ id, reactions }) {
    const known = this.mine.get(id) ?? []
    return reactions
      .filter(({ emoji, users, count }) => users.includes(this.#me) || (users.length < count && known.includes(emoji)))
      .map(({ emoji }) => emoji)
  }
}
