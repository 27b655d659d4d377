// A complete chat client without a user interface: connection, rooms and outbox. `ui/` renders it; other scripts can
// use it directly.

import { systemClock } from "./clock.js"
import { Drafts } from "./drafts.js"
import { Emitter } from "./emitter.js"
import { openStore } from "./outbox-store.js"
import { Outbox } from "./outbox.js"
import { Presence } from "./presence.js"
import { ChatError, DEFAULT_LIMITS } from "./protocol.js"
import { Rooms } from "./rooms.js"
import { Socket } from "./socket.js"
import { SyncBatch } from "./sync-batch.js"
import { Tabs } from "./tabs.js"

/**
 * Emits `connection` (see Socket), `outbox` (a room's id; null: any room), `notice` (its payload) and
 * `failure` (ChatError).
 */
export class ChatClient extends Emitter {
  rooms
  drafts
  presence = new Presence()
  #isAway = false
  #socket
  #outbox = null
  /** @type {Promise<void> | null} resolved once the store is open */
  #starting = null
  #user
  /** @type {any} */
  #options
  #limits
  #features = []
  #syncs
  #tabs
  /** @type {(store: import("./memory-store.js").LocalStore) => void} */
  #opened

  /**
   * @param {object} options
   * @param {string} options.url the socket's address, ws: or wss:
   * @param {{id: string, name: string}} options.user the person signed in on this page
   * @param {string | (() => Promise<string>)} [options.token] for pages of another site, see Socket
   * @param {object} [options.limits] the server's limits, used until `hello` brings its own
   * @param {number} [options.manyUnread] see Room
   * @param {import("./clock.js").Clock} [options.clock]
   * @param {() => Promise<import("./memory-store.js").LocalStore>} [options.store]
   * @param {any} [options.tabs] for tests, like the other seams
   */
  constructor({
    url, user, token = null, limits = DEFAULT_LIMITS, manyUnread, clock = systemClock, store = openStore, ...seams
  }) {
    super()
    this.#user = user
    this.#limits = limits
    this.#options = { url, clock, store, ...seams }
    this.#socket = new Socket({ url, token, clock, ...seams })
    const request = (command) => this.#socket.request(command)
    this.#syncs = new SyncBatch({ request, isLive: () => this.isLive, most: () => this.#limits.syncRooms })
    this.rooms = new Rooms({ me: user.id, clock, request, sync: (room) => this.#syncs.ask(room), manyUnread })
    const { owner } = this
    this.#tabs = this.#options.tabs ?? new Tabs({ name: `chat-outbox|${owner}`, clock, isLive: () => this.isLive })
    /** @type {Promise<import("./memory-store.js").LocalStore>} */
    const opening = new Promise((resolve) => (this.#opened = resolve))
    this.drafts = new Drafts({ owner, tabs: this.#tabs, store: opening })
    this.#socket.on("state", (state) => this.#connectionChanged(state))
    this.#socket.on("hello", (hello) => this.#greeted(hello))
    this.#socket.on("event", (event) => this.#handle(event))
  }

  get user() {
    return this.#user
  }

  get clock() {
    return this.#options.clock
  }

  get limits() {
    return this.#limits
  }

  /** @returns {import("./socket.js").ConnectionState} */
  get connection() {
    return this.#socket.state
  }

  get isLive() {
    return this.#socket.isLive
  }

  /** Whether all unsent messages and drafts outlive this tab. */
  get keepsMessages() {
    return this.#outbox?.isKept ?? true
  }

  /** The site and user that drafts and unsent messages in this browser belong to. */
  get owner() {
    const { host, pathname } = new URL(this.#options.url)
    return `${host}${pathname}|${this.#user.id}`
  }

  // Lifecycle

  async start() {
    this.#socket.connect()
    // What is posted meanwhile waits for the store, and keeps its order.
    this.#starting = this.#open()
    await this.#starting
    if (this.isLive) this.#outbox.connected(this.#features)
    await this.#outbox.start()
    this.emit("outbox", null)
  }

  async #open() {
    const { clock, store: open } = this.#options
    const { owner } = this
    const store = await open()
    const request = (command) => this.#socket.request(command)
    this.#outbox = new Outbox({ owner, tabs: this.#tabs, clock, store, request, limits: () => this.#limits })
    this.#outbox.on("change", (room) => this.emit("outbox", room))
    this.#opened(store)
    this.drafts.start()
  }

  stop() {
    this.#socket.disconnect()
    this.#outbox?.stop()
  }

  reconnectNow() {
    this.#socket.retryNow()
  }

  // Actions. A request to the server rejects with ChatError when it is refused or there is no connection. Posting,
  // retrying and discarding work on the outbox, so they need no connection.

  /**
   * Stores the message in the outbox, which sends it as soon as possible.
   * @param {string} room id @param {string} body
   * @param {{replyTo?: string | null, draft?: import("./memory-store.js").DraftName | null}} [options] `draft`: the one
   *   that it was, which is removed in the same step
   */
  async post(room, body, { replyTo = null, draft = null } = {}) {
    if (!this.#starting) throw new ChatError({ code: "client.starting", message: "The page is not ready yet.", retry: true })
    await this.#starting
    await this.#outbox.add({ room, body, replyTo, draft })
  }

  retry(clientId) {
    return this.#outbox.retry(clientId)
  }

  discard(clientId) {
    return this.#outbox.discard(clientId)
  }

  /** @returns {import("./outbox.js").Item[]} what was refused or waits for longer than usual, of all rooms */
  get unsent() {
    return this.#outbox?.unsent ?? []
  }

  /** @returns {import("./outbox.js").Item[]} */
  pending(room) {
    const seen = this.rooms.get(room).cursor
    if (seen) this.#outbox?.settle(room, seen)
    return this.#outbox?.pending(room) ?? []
  }

  edit(message, body) {
    return this.#socket.request({ type: "message.edit", message, body })
  }

  delete(message) {
    return this.#socket.request({ type: "message.delete", message })
  }

  async react(room, message, emoji, isOn) {
    const { mine } = await this.#socket.request({ type: isOn ? "reaction.add" : "reaction.remove", message, emoji })
    this.rooms.get(room).setMine(message, mine)
  }

  /** @param {boolean} [force] also move the pointer back: messages past `number` become unread */
  async markRead(room, number, force) {
    this.rooms.get(room).moveRead(await this.#socket.request({ type: "read", room, number, force }))
  }

  tellTyping(room, active) {
    this.#socket.tell({ type: "typing", room, active })
  }

  /**
   * Sets the person's status on this page. It survives reconnects.
   * @param {boolean} isAway
   */
  setAway(isAway) {
    if (isAway === this.#isAway) return
    this.#isAway = isAway
    this.#tellPresence()
  }

  async join(id) {
    const { room } = await this.#socket.request({ type: "room.join", room: id })
    this.rooms.add(room)
    return room
  }

  leave(id) {
    return this.#socket.request({ type: "room.leave", room: id })
  }

  // Callbacks

  #connectionChanged(state) {
    if (state.name !== "live") {
      this.#syncs.clear()
      this.#outbox?.disconnected()
      this.rooms.disconnected()
      this.presence.clear()
    }
    this.emit("connection", state)
  }

  #greeted(hello) {
    if (hello.user.id !== this.#user.id) {
      // Somebody else has signed in in another tab: this page must neither show their rooms nor send our messages.
      this.#socket.disconnect()
      return this.emit("failure", new ChatError({ code: "client.other_user", message: "Somebody else is signed in now." }))
    }
    this.#limits = hello.limits
    this.#features = hello.features
    this.rooms.greeted(hello)
    this.#outbox?.connected(hello.features)
    if (this.#isAway) this.#tellPresence()
  }

  #tellPresence() {
    if (!this.isLive || !this.#features.includes("presence")) return
    const status = this.#isAway ? "away" : "online"
    // A refusal leaves the last status; the next connection says it again.
    this.#socket.request({ type: "presence.set", status }).catch(() => {})
  }

  #handle(event) {
    if (event.type === "notice") this.emit("notice", event.payload)
    else if (event.type === "error") this.emit("failure", event.error)
    else if (event.type === "presence") this.presence.heard(event)
    else this.rooms.handle(event)
  }
}
