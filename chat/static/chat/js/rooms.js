// The rooms of this person, and those that are only watched. Each is followed live, to keep its unread count right.

import { Emitter } from "./emitter.js"
import { Room } from "./room.js"

const PAGE = 200

/** Emits `change` when the list or one of its rooms has changed, `added` and `removed` with a Room. */
export class Rooms extends Emitter {
  /** @type {Map<string, Room>} */
  #rooms = new Map()
  #listed = new Set()
  #version = 0
  /** The highest version that the server has named. If it is higher than ours, an event is late or lost. */
  #heard = 0
  #isKnown = false
  #isWhole = true
  #refreshing = false
  #me
  #clock
  #request
  #sync
  #manyUnread

  /** The options are those of Room, and are passed on to each. */
  constructor({ me, clock, request, sync, manyUnread }) {
    super()
    this.#me = me
    this.#clock = clock
    this.#request = request
    this.#sync = sync
    this.#manyUnread = manyUnread
  }

  /** Whether the server has sent the list yet. */
  get isKnown() {
    return this.#isKnown
  }

  /** @returns {import("./protocol.js").RoomState[]} the person's rooms, in no particular order */
  get list() {
    return [...this.#listed].map((id) => this.#rooms.get(id).state).filter(Boolean)
  }

  /** The sum of the unread counts. It is read at each event, so no list is made for it. */
  get unread() {
    let sum = 0
    for (const id of this.#listed) sum += this.#rooms.get(id).state?.unread ?? 0
    return sum
  }

  /** Returns the room, listed or not; an unknown one is watched from now on. */
  get(id) {
    const known = this.#rooms.get(id)
    if (known) return known
    const room = new Room({
      id, me: this.#me, clock: this.#clock, request: this.#request, sync: this.#sync, manyUnread: this.#manyUnread,
    })
    room.on("change", () => this.emit("change"))
    this.#rooms.set(id, room)
    return room
  }

  // Callbacks

  /** Takes the list from the `hello` of a new connection, and syncs the rooms. */
  async greeted({ rooms, roomsVersion, more }) {
    this.#version = this.#heard = roomsVersion
    this.#isWhole = !more
    this.#isKnown = true
    const told = new Map(rooms.map((state) => [state.id, state]))
    if (!more) this.#keepOnly(told)
    for (const id of told.keys()) {
      this.get(id)
      this.#listed.add(id)
    }
    for (const room of this.#rooms.values()) {
      // A listed room that `hello` had no space for gets its state from the list; one that is only watched has none.
      if (told.has(room.id) || !this.#listed.has(room.id)) room.connected(told.get(room.id) ?? null)
    }
    this.emit("change")
    if (more) await this.#refresh()
  }

  disconnected() {
    for (const room of this.#rooms.values()) room.disconnected()
    this.#refreshing = false
  }

  handle(event) {
    switch (event.type) {
      case "room.added":
        // It also comes again with a new state, and the version as it is.
        return this.#isNews(event.roomsVersion) && this.add(event.state)
      case "room.removed":
        return this.#isNews(event.roomsVersion) && this.#remove(event.room)
      case "heads":
        for (const [id, seq] of event.rooms) this.#rooms.get(id)?.heard(seq)
        this.#heard = Math.max(this.#heard, event.roomsVersion)
        if (this.#heard > this.#version || !this.#isWhole) this.#refresh()
        return
      case "lagging":
        return event.rooms.forEach((id) => this.#rooms.get(id)?.sync())
      case "read.changed":
        return this.#rooms.get(event.room)?.moveRead(event)
      default:
        if (event.room) this.#rooms.get(event.room)?.handle(event)
    }
  }

  /** Lists a room that the person is in now. */
  add(state) {
    this.#listed.add(state.id)
    const room = this.get(state.id)
    room.adopt(state)
    this.emit("added", room)
    this.emit("change")
  }

  // Internal

  /**
   * Takes the version of an event; false if what we hold is newer. A version that is skipped stays missing: the next
   * heartbeat finds it, and the list is read.
   */
  #isNews(version) {
    if (version < this.#version) return false
    if (version === this.#version + 1) this.#version = version
    this.#heard = Math.max(this.#heard, version)
    return true
  }

  #remove(id) {
    const room = this.#rooms.get(id)
    this.#listed.delete(id)
    this.#rooms.delete(id)
    room?.removed()
    if (room) this.emit("removed", room)
    this.emit("change")
  }

  /** Removes the listed rooms that the server no longer names: we missed their `room.removed`. */
  #keepOnly(told) {
    for (const id of [...this.#listed]) if (!told.has(id)) this.#remove(id)
  }

  /** Reads the whole list, because `hello` did not hold it all, or a `room.added` or `room.removed` was missed. */
  async #refresh() {
    if (this.#refreshing) return
    this.#refreshing = true
    const [held, version] = [this.#version, this.#heard]
    try {
      const told = new Map()
      for (let more = true, after; more; ) {
        const page = await this.#request({ type: "room.list", scope: "mine", after, limit: PAGE })
        page.rooms.forEach((state) => told.set(state.id, state))
        more = page.more && page.rooms.length > 0
        after = page.rooms.at(-1)?.id
      }
      // A room came or went while the pages were read, and they may or may not show it: the next heartbeat reads again.
      if (this.#version !== held || this.#heard !== version) return
      this.#version = version
      this.#isWhole = true
      this.#keepOnly(told)
      told.forEach((state) => this.add(state))
    } catch {
      // The next heartbeat tries again.
    } finally {
      this.#refreshing = false
    }
  }
}
