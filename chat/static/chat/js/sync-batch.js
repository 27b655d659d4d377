/** Syncs rooms that ask at the same moment with one command. A room that is being synced waits for its turn. */
export class SyncBatch {
  #rooms = new Set()
  /** Ids of rooms that are being synced: the server refuses a second sync of them. */
  #underWay = new Set()
  /** Those of them that have asked again meanwhile, by id. */
  #again = new Map()
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

  /**
   * Syncs a room soon. Without a connection nothing happens: the next one syncs all rooms.
   * @param {import("./room.js").Room} room
   */
  ask(room) {
    if (!this.#isLive()) return
    if (this.#underWay.has(room.id)) return void this.#again.set(room.id, room)
    if (!this.#rooms.size) queueMicrotask(() => this.#send())
    this.#rooms.add(room)
  }

  /** Forgets all syncs, because the connection is gone. */
  clear() {
    this.#rooms.clear()
    this.#underWay = new Set()
    this.#again.clear()
  }

  #send() {
    const rooms = [...this.#rooms]
    this.#rooms.clear()
    while (rooms.length) this.#sync(rooms.splice(0, this.#most()))
  }

  async #sync(rooms) {
    const cursors = new Map(rooms.map((room) => [room.id, room.syncFrom]))
    const underWay = this.#underWay
    rooms.forEach(({ id }) => underWay.add(id))
    // Whatever failed, null lets each room ask again in a moment.
    const results = await this.#request({ type: "sync", rooms: cursors }).then((result) => result.rooms).catch(() => null)
    if (underWay !== this.#underWay) return
    for (const room of rooms) {
      const again = this.#again.get(room.id)
      underWay.delete(room.id)
      this.#again.delete(room.id)
      if (again) this.ask(again)
      else room.syncEnded(results && (results.get(room.id) ?? "denied"))
    }
  }
}
