// Who is connected, as the server has told this page. Without a connection, nothing is known.

import { Emitter } from "./emitter.js"

/** Emits `change` when something else is known than before. */
export class Presence extends Emitter {
  /** @type {Map<string, string>} */
  #users = new Map()
  /** @type {Map<string, number | null>} */
  #online = new Map()

  /** @returns {string} "online", "away", "offline" or "unknown"; a later server may know other words */
  statusOf(user) {
    return this.#users.get(user) ?? "unknown"
  }

  /** @returns {number | null} how many of the room's members are connected; null: that is not known */
  online(room) {
    return this.#online.get(room) ?? null
  }

  heard({ users, online }) {
    for (const [user, status] of users) this.#users.set(user, status)
    for (const [room, count] of online) this.#online.set(room, count)
    this.emit("change")
  }

  clear() {
    if (!this.#users.size && !this.#online.size) return
    this.#users.clear()
    this.#online.clear()
    this.emit("change")
  }
}
