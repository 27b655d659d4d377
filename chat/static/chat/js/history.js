// Loading pages of a room's past without losing what happens meanwhile (docs/protocol.md, section 4, "Merging").

const AGAIN_MS = 300

/** Asks for pages one at a time and merges them into the room's timeline. */
export class History {
  #room
  #request
  #clock
  #underWay = null
  /** Message events that came while a page was under way: the page may show an older state of what it brings. */
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

  /** Call for every message that an event brings; it is merged once more after the page that is under way. */
  keep(message, mine) {
    if (this.#underWay) this.#kept.push([message, mine])
  }

  /** What is under way belongs to a state that is void now. */
  abandon() {
    this.#underWay = null
    this.#kept = []
  }

  /**
   * Loads one page; while another is under way nothing is asked.
   * @param {{before?: number, after?: number, around?: number, limit?: number}} which none: the newest
   * @param {() => {epoch: string, seq: number} | null} cursor where the room stands now
   * @param {(page: object, kept: [object, string[] | undefined][]) => void} merge
   * @returns {Promise<"merged" | "abandoned" | "epoch">} "epoch": the server's numbers are others, sync first
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
        if (page.seq >= asked.seq) {
          merge(page, this.#kept)
          return "merged"
        }
        // Read from a snapshot older than what was already applied here: the events in between would be missing.
        await new Promise((resolve) => this.#clock.after(resolve, AGAIN_MS * attempt))
        if (ticket !== this.#underWay) return "abandoned"
      }
    } finally {
      if (ticket === this.#underWay) this.abandon()
    }
  }
}
