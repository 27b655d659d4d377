// One room as this page sees it: its state in the list, the loaded part of its timeline, who is typing. It stays
// correct through gaps, repeats, reconnects and resets (docs/protocol.md, section 4).

import { Conversation } from "./conversation.js"
import { Cursor, differInRun } from "./cursor.js"
import { Emitter } from "./emitter.js"
import { Members } from "./members.js"
import { ChatError } from "./protocol.js"
import { ReadPointer } from "./read-pointer.js"
import { withCount, withMessage, withRead, withRoom } from "./room-state.js"
import { Typing } from "./typing.js"

const RETRY_MS = 2_000

/**
 * Emits `change` (anything visible has changed) and `failure` (ChatError of a request that the room made by itself).
 */
export class Room extends Emitter {
  typing
  members
  readPointer
  /** Whether the reader follows the newest messages: then the oldest ones are dropped, otherwise the newest. */
  isFollowed = true
  /** Whether somebody is looking. What comes while nobody is, or without a connection, gets below the unread line. */
  isLookedAt = true
  #id
  #me
  #state
  /** @type {"pending" | "live" | "denied" | "removed"} */
  #access = "pending"
  #isOpen = false
  #cursor
  #conversation
  #request
  #clock
  #manyUnread

  /**
   * @param {object} options
   * @param {string} options.id
   * @param {string} options.me the user's id
   * @param {import("./protocol.js").RoomState | null} [options.state] null until the server has sent it
   * @param {import("./clock.js").Clock} options.clock
   * @param {(command: object) => Promise<any>} options.request
   * @param {(room: Room) => void} options.sync sends a `sync` with the room's cursor; `syncEnded` follows
   * @param {number} [options.manyUnread] with more unread than this, reading starts there and not at the newest message
   */
  constructor({ id, me, state = null, clock, request, sync, manyUnread = Infinity }) {
    super()
    this.#id = id
    this.#me = me
    this.#state = state
    this.#clock = clock
    this.#request = request
    this.#manyUnread = manyUnread
    this.#cursor = new Cursor({ clock, apply: (event) => this.#apply(event), sync: () => sync(this) })
    this.#conversation = new Conversation({ room: id, me, request, clock })
    this.readPointer = new ReadPointer({ clock, tell: (number) => this.#tellRead(number) })
    this.members = new Members({ room: id, request, clock })
    this.typing = new Typing(clock, () => this.emit("change"))
  }

  get id() {
    return this.#id
  }

  /** @returns {import("./protocol.js").RoomState | null} */
  get state() {
    return this.#state
  }

  get cursor() {
    return this.#cursor.position
  }

  /** The cursor to send with `sync`, see Cursor. */
  get syncFrom() {
    return this.#cursor.syncFrom
  }

  /** @returns {"pending" | "live" | "denied" | "removed"} whether this person may follow the room */
  get access() {
    return this.#access
  }

  get timeline() {
    return this.#conversation.timeline
  }

  /** @returns {Map<string, string[]>} the person's own reactions by message id, as far as known */
  get mine() {
    return this.#conversation.mine
  }

  /** @returns {Iterable<import("./protocol.js").Member>} members who recently joined or left; none in a direct room */
  get comings() {
    return this.#state?.kind === "direct" ? [] : this.#conversation.comings.values()
  }

  /** @returns {number | null} the first message below the unread line; null: there is no line */
  get unreadFrom() {
    return this.readPointer.unreadFrom
  }

  /** @returns {number} how many messages are newer than what this person has read or seen */
  get unseen() {
    return this.#state ? Math.max(0, this.#state.lastNumber - Math.max(this.#state.read, this.readPointer.seen)) : 0
  }

  get isLoading() {
    return this.#conversation.isLoading
  }

  // Lifecycle

  /**
   * Takes the data embedded in the page, so that nothing has to be loaded. The first sync brings what happened since.
   * @param {{state: import("./protocol.js").RoomState, history: object}} first read in one snapshot
   */
  adoptFirst({ state, history }) {
    const at = this.cursor
    if (this.timeline.isLoaded || (at && (at.epoch !== history.epoch || at.seq !== history.seq || differInRun(at, history)))) return
    if (!at) {
      this.#setState(state)
      this.#cursor.reset(history)
    }
    this.#conversation.adopt(history)
    this.readPointer.opened(this.#state)
    this.emit("change")
  }

  /** Syncs the room on a new connection. `state`: the room's state from `hello`, if that holds it. */
  connected(state) {
    this.#cursor.disconnect()
    this.#conversation.abandonLoading()
    if (state) {
      this.#setState(state)
      // No messages are loaded, so there is nothing to catch up on: start where the state was read.
      if (!this.timeline.isLoaded) this.#cursor.reset(state)
    }
    this.#cursor.sync()
    this.emit("change")
  }

  disconnected() {
    if (this.#access === "live") this.#access = "pending"
    this.#cursor.disconnect()
    this.#conversation.abandonLoading()
    this.typing.clear()
    this.emit("change")
  }

  /** Takes a state that came outside the room's stream: the person joined, or the list was read again. */
  adopt(state) {
    const known = this.#state
    if (this.#access !== "live") return this.connected(state)
    const isAhead = known !== null && this.cursor.epoch === state.epoch && this.cursor.seq > state.seq
    const next = isAhead ? withRead({ ...known, role: state.role, mayPost: state.mayPost, mayModerate: state.mayModerate, whySilent: state.whySilent, notify: state.notify }, state) : state
    this.#setState(next)
    this.emit("change")
  }

  /** Takes the result of `sync` for this room; null: it failed, and is repeated after 2 s. */
  syncEnded(result) {
    if (result === "denied") {
      this.#access = "denied"
      this.#conversation.clear()
    } else if (result) this.#access = "live"
    this.#cursor.syncEnded()
    if (!result) this.#clock.after(() => this.#access !== "removed" && this.#cursor.sync(), RETRY_MS)
    else if (this.#isOpen && this.#access === "live") this.#loadNewest()
    this.#loadQuotes()
    this.emit("change")
  }

  removed() {
    this.#access = "removed"
    this.disconnected()
    // The person may not see the messages any more.
    this.#conversation.clear()
    this.emit("change")
  }

  // Actions

  /** Loads the messages as soon as there is a connection, and keeps them loaded, because somebody looks at the room. */
  open() {
    this.#isOpen = true
    if (this.#access === "live") this.#loadNewest()
  }

  sync() {
    this.#cursor.sync()
  }

  /** Loads the page before the loaded part. @throws {import("./protocol.js").ChatError} */
  loadOlder() {
    return this.#load((cursor) => this.#conversation.loadOlder(cursor, () => this.isFollowed))
  }

  /** Loads the page after the loaded part. @throws {import("./protocol.js").ChatError} */
  loadNewer() {
    return this.#load((cursor) => this.#conversation.loadNewer(cursor))
  }

  /**
   * Moves the loaded part to message `number`; null: to the newest.
   * @throws {import("./protocol.js").ChatError}
   */
  async seek(number) {
    await this.#load((cursor) => this.#conversation.seek(number, cursor))
    if (number === null) this.readPointer.arrive()
  }

  /** Notes that somebody looked at messages on the screen: see ReadPointer. */
  saw(look) {
    if (this.#state?.role && this.#access === "live") this.readPointer.saw(look)
  }

  async loadMembers() {
    await this.members.load(() => this.cursor)
    this.emit("change")
  }

  /** Takes a move of the person's read pointer. */
  moveRead(read) {
    if (!this.#state) return
    this.#setState(withRead(this.#state, read))
    this.emit("change")
  }

  /** Takes the person's own reactions to a message from the reply to one of them, which names all that stand. */
  setMine(messageId, emoji) {
    this.mine.set(messageId, emoji)
    this.emit("change")
  }

  // Callbacks

  /** Applies an event of this room. */
  handle(event) {
    switch (event.type) {
      case "changes":
        if (event.epoch === this.cursor?.epoch) this.#takeChanges(event)
        break
      case "synced":
        this.#cursor.synced(event)
        break
      case "reset":
        this.#takeReset(event)
        break
      case "typing":
        if (event.user !== this.#me) this.typing.heard(event.user, event.active)
        break
      default:
        this.#cursor.take(event)
    }
    this.#loadQuotes()
    this.emit("change")
  }

  /** Notes the highest seq that, by `heads`, the server has passed to this connection. */
  heard(seq) {
    this.#cursor.heard(seq)
  }

  // Internal

  #apply(event) {
    if (event.message) this.#takeMessage(event.message)
    if (event.state) this.#state &&= withRoom(this.#state, event.state)
    if (event.member) {
      this.#takeMember(event.member)
      this.#state &&= withCount(this.#state, event)
      if (event.type === "member.changed") return
      this.#conversation.takeMember(event.member)
    }
  }

  #takeChanges({ messages, mine, members, state }) {
    messages.forEach((message) => this.#takeMessage(message, mine.get(message.id) ?? []))
    members.forEach((member) => {
      this.#takeMember(member)
      this.#conversation.takeMember(member)
    })
    if (state) this.#state &&= withRoom(this.#state, state)
  }

  #takeReset({ epoch, seq, run, state }) {
    this.#conversation.clear()
    this.members.clear()
    this.readPointer.startOver()
    this.#state = null
    this.#setState(state)
    this.#access = "live"
    this.#cursor.reset({ epoch, seq, run })
    if (this.#isOpen) this.#loadNewest()
  }

  #takeMessage(message, mine) {
    this.#conversation.take(message, mine)
    this.#conversation.bound(this.isFollowed)
    if (message.author) this.typing.heard(message.author.id, false)
    if (this.#state) this.#setState(withMessage(this.#state, message, this.#me))
  }

  #takeMember(member) {
    this.members.put(member)
    if (member.user.id !== this.#me) return
    this.#state &&= { ...this.#state, role: member.leftAt ? null : member.role, mayPost: null, mayModerate: null, whySilent: null }
  }

  #setState(next) {
    this.readPointer.isLookedAt = this.isLookedAt && this.#access === "live"
    this.readPointer.follow(this.#state, next)
    this.#state = next
  }

  async #tellRead(number) {
    this.moveRead(await this.#request({ type: "read", room: this.#id, number }))
  }

  async #loadNewest() {
    if (this.timeline.isLoaded || this.isLoading) return
    const isFirst = this.#state !== null && this.readPointer.opened(this.#state)
    const around = isFirst && this.#state.unread > this.#manyUnread ? this.unreadFrom : null
    try {
      await this.#load((cursor) => this.#conversation.seek(around, cursor))
    } catch (error) {
      if (error instanceof ChatError && !error.retry) return this.emit("failure", error)
      // Without a connection the next one loads them; otherwise the server was busy.
      this.#clock.after(() => this.#access === "live" && this.#loadNewest(), error.retryAfterMs ?? RETRY_MS)
    }
  }

  async #load(start) {
    const loading = start(() => this.cursor)
    // If nothing loads, emit nothing: a caller that asks at each draw would otherwise draw for ever.
    if (!this.isLoading) return loading
    this.emit("change")
    const outcome = await loading.finally(() => this.emit("change"))
    if (outcome === "epoch") this.#cursor.sync()
    this.#loadQuotes()
  }

  /** Loads what live messages quote, and what pages of history had no space to quote. */
  #loadQuotes() {
    if (this.#access === "live") this.#conversation.loadQuotes(() => this.cursor, () => this.emit("change"))
  }
}
