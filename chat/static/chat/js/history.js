// Loads pages of a room's history without losing what happens meanwhile (docs/protocol.md, section 4, "Merging").

import { isReached } from "./cursor.js"

const AGAIN_MS = 300

/** Requests one page at a time and hands it over to be merged. */
export class History {
  #room
  #request
  #clock
  #underWay = null
  /** Messages that came while a page was under way, which may show an older state of them. */
  #kept = []

  /**
   * @param {object} options
   * @param {string} options.room id
   * @param {(command: object) => Promise<any>} options.request
   * @param {import("./clock.js").Clock} options.clock
   */
  constructor({ room, request, clock }) {
    this.#room = room
    this.#request = request
    this.#clock = clock
  }

  /** @returns {boolean} */
  get isUnderWay() {
    return this.#underWay !== null
  }

  /** Call this for every message of an event: if a page is under way, the message is merged again after it. */
  keep(message, mine) {
    if (this.#underWay) this.#kept.push([message, mine])
  }

  /** Ignores the page under way, if any: it belongs to a state that is void. */
  abandon() {
    this.#underWay = null
    this.#kept = []
  }

  /**
   * Loads one page, unless another is under way.
   * @param {{before?: number, after?: number, around?: number, limit?: number}} which empty: the newest page
   * @param {() => import("./cursor.js").Position | null} cursor the room's current cursor
   * @param {(page: object, kept: [object, string[] | undefined][]) => void} merge
   * @returns {Promise<"merged" | "abandoned" | "epoch">} "epoch": the page is of another epoch, so sync first
   * @throws {import("./protocol.js").ChatError} the request failed
   */
  async load(which, cursor, merge) {
    const asked = cursor()
    if (this.#underWay || !asked) return "abandoned"
    const ticket = (this.#underWay = {})
    try {
      for (let attempt = 1; ; attempt += 1) {
        const page = await this.#request({ type: "history", room: this.#room, ...which })
        if (ticket !== this.#underWay) return "abandoned"
        if (page.epoch !== cursor().epoch) return "epoch"
        if (page.seq >= asked.seq && (await isReached(page, cursor, this.#clock, () => ticket === this.#underWay))) {
          if (ticket !== this.#underWay) return "abandoned"
          merge(page, this.#kept)
          return "merged"
        }
        if (ticket !== this.#underWay) return "abandoned"
        // The page's snapshot is older than the cursor we asked at, so events in between would be missing; or it is of a
        // run that this client has left, or has not come to yet. Ask again.
        await new Promise((resolve) => this.#clock.after(resolve, AGAIN_MS * attempt))
        if (ticket !== this.#underWay) return "abandoned"
      }
    } finally {
      if (ticket === this.#underWay) this.abandon()
    }
  }
}
