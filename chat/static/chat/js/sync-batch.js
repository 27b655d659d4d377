/** Rooms that ask to be synced in the same moment share one command. */
export class SyncBatch {
  #rooms = new Set()
  #request
  #isLive
  #most

  /**
   * @param {object} options
   * @param {(command: object) => Promise<any>} options.request
   * @param {() => boolean} options.isLive
   * @param {() => number} options.most how many rooms one command may name
   */
  constructor({ request, isLive, most }) {
    this.#request = request
    this.#isLive = isLive
    this.#most = most
  }

  /** Without a connection nothing happens: the next one syncs all rooms. @param {import("./room.js").Room} room */
  ask(room) {
    if (!this.#isLive()) return
    if (!this.#rooms.size) queueMicrotask(() => this.#send())
    this.#rooms.add(room)
  }

  clear() {
    this.#rooms.clear()
  }

  #send() {
    const rooms = [...this.#rooms]
    this.#rooms.clear()
    while (rooms.length) this.#sync(rooms.splice(0, this.#most()))
  }

  async #sync(rooms) {
    const cursors = new Map(rooms.map((room) => [room.id, room.cursor]))
    try {
      const { rooms: results } = await this.#request({ type: "sync", rooms: cursors })
      rooms.forEach((room) => room.syncEnded(results.get(room.id) ?? "denied"))
    } catch {
      // A lost connection has put the rooms back already; anything else is asked again in a moment.
      if (this.#isLive()) rooms.forEach((room) => room.syncEnded(null))
    }
  }
}
