import { isReached } from "./cursor.js"

const AGAIN_MS = 300

/** The members of one room, present and former. The list is loaded on demand and kept current by events. */
export class Members {
  /** @type {Map<string, import("./protocol.js").Member>} by user id */
  #all = new Map()
  #loading = null
  #isLoaded = false
  #kept = []
  #room
  #request
  #clock

  constructor({ room, request, clock }) {
    this.#room = room
    this.#request = request
    this.#clock = clock
  }

  get isLoaded() {
    return this.#isLoaded
  }

  /** @returns {import("./protocol.js").Member[]} those in the room now */
  get present() {
    return [...this.#all.values()].filter(({ leftAt }) => leftAt === null)
  }

  find(userId) {
    return this.#all.get(userId)
  }

  put(member) {
    if (this.#loading) this.#kept.push(member)
    this.#all.set(member.user.id, member)
  }

  clear() {
    this.#all.clear()
    this.#isLoaded = false
    this.#loading = null
    this.#kept = []
  }

  /**
   * Loads the whole list once. Its pages may be older than events that come meanwhile, so those are applied again.
   * @param {() => import("./cursor.js").Position | null} cursor the room's current cursor
   * @throws {import("./protocol.js").ChatError}
   */
  async load(cursor) {
    if (this.#isLoaded || this.#loading) return
    const ticket = (this.#loading = {})
    const asked = cursor()
    try {
      let after
      for (;;) {
        const page = await this.#request({ type: "member.list", room: this.#room, after })
        if (ticket !== this.#loading) return
        const isWanted = () => ticket === this.#loading
        const isGood = !asked || (page.epoch === asked.epoch && page.seq >= asked.seq && (await isReached(page, cursor, this.#clock, isWanted)))
        if (!isWanted()) return
        if (!isGood) {
          await new Promise((resolve) => this.#clock.after(resolve, AGAIN_MS))
          if (ticket !== this.#loading) return
          continue
        }
        page.members.forEach((member) => this.#all.set(member.user.id, member))
        after = page.members.at(-1)?.user.id
        if (!page.more || !page.members.length) break
      }
      this.#kept.forEach((member) => this.#all.set(member.user.id, member))
      this.#isLoaded = true
    } finally {
      if (ticket === this.#loading) {
        this.#loading = null
        this.#kept = []
      }
    }
  }
}
