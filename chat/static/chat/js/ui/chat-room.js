import { rowsOf } from "../rows.js"
import { Composer } from "./composer.js"
import { ConnectionBanner } from "./connection-banner.js"
import { alertAbout, confirm } from "./dialogs.js"
import { partsOf } from "./dom.js"
import { MessageMenu } from "./message-menu.js"
import { pageClient, roomUrl } from "./page-client.js"
import { drawAbout, drawHint, drawTyping } from "./room-frame.js"
import { sentenceOf, texts } from "./texts.js"
import { TimelineView } from "./timeline-view.js"

const MODERATORS = ["owner", "moderator"]

/** `<chat-room room="12">` around the parts of chat/_room.html: one room, live. */
export class ChatRoom extends HTMLElement {
  #client
  #room
  #parts
  #timeline
  #composer
  #banner
  #menu = new MessageMenu()
  #ends = []
  #frame = null
  #olderFailed = false
  #reading = false
  #looked = () => this.#markRead()

  // Lifecycle

  connectedCallback() {
    this.#client = pageClient()
    this.#parts = partsOf(this)
    const id = this.getAttribute("room")
    this.#room = this.#client.rooms.get(id)
    const { timeline, rows } = this.#parts
    this.#timeline = new TimelineView(timeline, rows, { nearTop: () => this.#loadOlder(), moved: () => this.#moved() })
    this.#composer = new Composer(this.#parts, {
      clock: this.#client.clock, tellTyping: (active) => this.#client.tellTyping(id, active),
      submit: (body, mode) => this.#send(body, mode), editLast: () => this.#editLast(),
    })
    this.#banner = new ConnectionBanner(this.#parts.banner, this.#client)
    for (const each of [this.#timeline, this.#composer, this.#banner]) each.connect()
    this.#menu.connect(this)
    this.#listen(id)
    this.#room.open()
    this.#draw()
    // On a phone that would bring up the keyboard, over half of what one came to read.
    if (matchMedia("(hover: hover)").matches) this.#parts.text.focus()
  }

  disconnectedCallback() {
    for (const each of [this.#timeline, this.#composer, this.#banner, this.#menu]) each.disconnect()
    this.#ends.forEach((end) => end())
    cancelAnimationFrame(this.#frame)
    document.removeEventListener("visibilitychange", this.#looked)
    window.removeEventListener("focus", this.#looked)
  }

  #listen(id) {
    const { leave, join, "to-newest": toNewest } = this.#parts
    leave.onclick = () => this.#leave()
    join.onclick = () => this.#try(this.#client.join(id))
    toNewest.onclick = () => this.#timeline.scrollToBottom()
    this.#ends = [
      this.#room.on("change", () => this.#drawSoon()),
      this.#room.on("failure", (error) => alertAbout(sentenceOf(error))),
      this.#client.on("connection", () => this.#drawSoon()),
      this.#client.on("outbox", () => this.#drawSoon()),
      this.#client.rooms.on("added", (room) => room.id === id && this.#follow(room)),
    ]
    document.addEventListener("visibilitychange", this.#looked)
    window.addEventListener("focus", this.#looked)
  }

  /** After one was removed and came back, the room is a new object. */
  #follow(room) {
    if (room === this.#room) return
    this.#room = room
    this.#ends.push(room.on("change", () => this.#drawSoon()))
    room.open()
  }

  // Actions

  async #send(body, mode) {
    if (mode.name === "edit") return this.#client.edit(mode.message.id, body)
    await this.#client.post(this.#room.id, body, { replyTo: mode.message?.id ?? null })
    this.#timeline.scrollToBottom()
  }

  #editLast() {
    const own = this.#room.timeline.messages.findLast((message) => this.#isOwn(message) && message.deletedAt === null)
    if (own) this.#composer.edit(own)
  }

  #openMenu(message, opener) {
    const mayRemove = this.#isOwn(message) || MODERATORS.includes(this.#room.state?.role)
    const choices = [
      [texts.reply, () => this.#composer.reply(message)],
      ...(this.#isOwn(message) ? [[texts.edit, () => this.#composer.edit(message)]] : []),
      ...(mayRemove ? [[texts.remove, () => this.#remove(message)]] : []),
    ]
    this.#menu.open(opener, { react: (emoji) => this.#react(message, emoji, true), choices })
  }

  async #remove(message) {
    if (await confirm(texts.confirmRemove, texts.remove)) await this.#try(this.#client.delete(message.id))
  }

  #react(message, emoji, isOn) {
    return this.#try(this.#client.react(this.#room.id, message.id, emoji, isOn))
  }

  async #leave() {
    const yes = await confirm(texts.confirmLeave(this.#room.state?.name ?? ""), texts.leave)
    if (yes && (await this.#try(this.#client.leave(this.#room.id)))) location.assign(roomUrl(null))
  }

  // Callbacks

  async #loadOlder() {
    if (!this.#room.timeline.hasOlder || this.#room.isLoading || !this.#client.isLive) return
    this.#olderFailed = false
    try {
      await this.#room.loadOlder()
    } catch {
      this.#olderFailed = true
      this.#drawSoon()
    }
  }

  #moved() {
    this.#parts["to-newest"].hidden = this.#timeline.isAtBottom
    this.#markRead()
  }

  /** What is on the screen of somebody who looks at it is read. */
  async #markRead() {
    const { timeline, state } = this.#room
    const sees = document.visibilityState === "visible" && document.hasFocus() && this.#timeline.isAtBottom
    const isNews = state?.role && !timeline.isEmpty && timeline.reachesNewest && timeline.to > state.read
    if (!sees || !isNews || this.#reading) return
    this.#reading = true
    try {
      await this.#client.markRead(this.#room.id, timeline.to)
    } catch {
      // Nothing is lost: the next look at the newest message says it again.
    } finally {
      this.#reading = false
    }
  }

  // Internal

  /** @returns {Promise<boolean>} whether it worked; if not, it was said why */
  async #try(work) {
    try {
      await work
      return true
    } catch (error) {
      alertAbout(sentenceOf(error))
      return false
    }
  }

  #isOwn(message) {
    return message.author?.id === this.#client.user.id
  }

  #drawSoon() {
    this.#frame ??= requestAnimationFrame(() => this.#draw())
  }

  #draw() {
    this.#frame = null
    const { timeline, mine, state } = this.#room
    const context = { me: this.#client.user, isLive: this.#client.isLive, canWrite: Boolean(state?.role) && !state.archived }
    const pending = this.#client.pending(this.#room.id)
    drawAbout(this.#parts, this.#room, context)
    const isEmpty = timeline.isEmpty && pending.length === 0
    drawHint(this.#parts, this.#room, { isLive: context.isLive, isEmpty, olderFailed: this.#olderFailed })
    drawTyping(this.#parts, this.#room)
    this.#timeline.update(rowsOf({ timeline, pending, me: context.me.id, mine }), {
      openMenu: (message, opener) => this.#openMenu(message, opener),
      react: (message, emoji, isOn) => this.#react(message, emoji, isOn),
      show: (number) => this.#timeline.show(number),
      retry: (clientId) => this.#try(this.#client.retry(clientId)),
      discard: (clientId) => this.#try(this.#client.discard(clientId)),
    }, context)
  }
}
