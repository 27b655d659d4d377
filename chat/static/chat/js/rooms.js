// The rooms of this person, and those that are only watched. Each is followed live, so that its unread count is right.

import { Emitter } from "./emitter.js"
import { Room } from "./room.js"

const PAGE = 200

/** Emits `change` when the list or a line of it is different, `added` and `removed` with a Room. */
export class Rooms extends Emitter {
  /** @type {Map<string, Room>} */
  #rooms = new Map()
  #listed = new Set()
  #version = 0
  #isKnown = false
  #isWhole = true
  #refreshing = false
  #me
  #clock
  #request
  #sync
  #manyUnread

  /** The arguments are those of Room, for each of which they are. */
  constructor({ me, clock, request, sync, manyUnread }) {
    super()
    this.#me = me
    this.#clock = clock
    this.#request = request
    this.#sync = sync
    this.#manyUnread = manyUnread
  }

  /** Whether the server has told the list at all yet. */
  get isKnown() {
    return this.#isKnown
  }

  /** @returns {import("./protocol.js").RoomState[]} the person's rooms, in no order */
  get list() {
    return [...this.#listed].map((id) => this.#rooms.get(id).state).filter(Boolean)
  }

  /** Asked for at each event: no list is made and sorted for it. */
  get unread() {
    let sum = 0
    for (const id of this.#listed) sum += this.#rooms.get(id).state?.unread ?? 0
    return sum
  }

  /** The room, listed or not; one that isn't known is watched from now on. */
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

  /** A new connection is live. */
  async greeted({ rooms, roomsVersion, more }) {
    this.#version = roomsVersion
    this.#isWhole = !more
    this.#isKnown = true
    const told = new Map(rooms.map((state) => [state.id, state]))
    if (!more) this.#keepOnly(told)
    for (const id of told.keys()) {
      this.get(id)
      this.#listed.add(id)
    }
    for (const room of this.#rooms.values()) {
      // Of a listed room that `hello` had no place for, the list brings the state; a watched one has none.
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
        this.#version = Math.max(this.#version, event.roomsVersion)
        return this.add(event.state)
      case "room.removed":
        this.#version = Math.max(this.#version, event.roomsVersion)
        return this.#remove(event.room)
      case "heads":
        for (const [id, seq] of event.rooms) this.#rooms.get(id)?.heard(seq)
        if (event.roomsVersion > this.#version || !this.#isWhole) this.#refresh(event.roomsVersion)
        return
      case "lagging":
        return event.rooms.forEach((id) => this.#rooms.get(id)?.sync())
      case "read.changed":
        return this.#rooms.get(event.room)?.moveRead(event)
      default:
        if (event.room) this.#rooms.get(event.room)?.handle(event)
    }
  }

  /** The person is in this room now. */
  add(state) {
    this.#listed.add(state.id)
    const room = this.get(state.id)
    room.adopt(state)
    this.emit("added", room)
    this.emit("change")
  }

  // Internal

  #remove(id) {
    const room = this.#rooms.get(id)
    this.#listed.delete(id)
    this.#rooms.delete(id)
    room?.removed()
    if (room) this.emit("removed", room)
    this.emit("change")
  }

  /** What was listed and is no longer told of was taken away while we were not connected. */
  #keepOnly(told) {
    for (const id of [...this.#listed]) if (!told.has(id)) this.#remove(id)
  }

  /** Reads the whole list: there is more than `hello` holds, or a `room.added` or `room.removed` was missed. */
  async #refresh(version = this.#version) {
    if (this.#refreshing) return
    this.#refreshing = true
    try {
      const told = new Map()
      for (let more = true, after; more; ) {
        const page = await this.#request({ type: "room.list", scope: "mine", after, limit: PAGE })
        page.rooms.forEach((state) => told.set(state.id, state))
        more = page.more && page.rooms.length > 0
        after = page.rooms.at(-1)?.id
      }
      this.#version = Math.max(this.#version, version)
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
