import { Close, firstOf } from "../protocol.js"
import { rowsOf } from "../rows.js"
import { mayWrite } from "../summary.js"
import { Composer } from "./composer.js"
import { ConnectionBanner } from "./connection-banner.js"
import { alertAbout, confirm } from "./dialogs.js"
import { partsOf } from "./dom.js"
import { keyboardHelp } from "./keyboard-help.js"
import { MessageActions } from "./message-actions.js"
import { pageClient } from "./page-client.js"
import { config, homeUrl } from "./page-config.js"
import { drawAbout, drawHint, drawToNewest, drawTyping } from "./room-frame.js"
import { sentenceOf, texts } from "./texts.js"
import { TimelineView } from "./timeline-view.js"

const AGAIN_MS = 5_000
/** More messages at once than this are not read out: they were missed, and are there to be read. */
const MOST_SPOKEN = 10

/** Why nothing can be written on this page any more, if so. */
const endOf = ({ name, code }) =>
  name === "stopped" && [Close.banned, Close.unsupported].includes(code) ? texts[`stopped.${code}`] : null

const isLookedAt = () => document.visibilityState === "visible" && document.hasFocus()

/** `<chat-room room="12" target="57">` around the parts of chat/_room.html: one room, live. `target`: a permalink's. */
export class ChatRoom extends HTMLElement {
  #client
  #room
  #parts
  #timeline
  #composer
  #banner
  #actions
  #ends = []
  #frame = null
  #loadFailed = false
  /** Until then nothing more is asked for after a refusal: each draw of a short page would. */
  #waitsUntil = 0
  /** Whether the reader was put where there is something to read. */
  #isPlaced = false
  /** The number of the message that is meant, and whether to go there. */
  #target = null
  #seeks = false
  /** The last message that was drawn. */
  #last = null
  #wasHidden = false
  #leaving = () => this.#room.flushReading()
  #looked = () => this.#lookChanged()

  // Lifecycle

  connectedCallback() {
    this.#client = pageClient()
    this.#parts = partsOf(this)
    const id = this.getAttribute("room")
    this.#target = Number(this.getAttribute("target")) || null
    this.#seeks = this.#target !== null
    this.#room = this.#client.rooms.get(id)
    this.#room.isLookedAt = isLookedAt()
    const { timeline, rows } = this.#parts
    this.#timeline = new TimelineView(timeline, rows, {
      nearTop: () => this.#load("loadOlder"),
      nearBottom: () => this.#load("loadNewer"),
      moved: () => this.#moved(),
      movedByHand: () => this.#room.resumeReading(),
      shortcut: (name, message, opener) => this.#actions.shortcut(name, message, opener),
      leave: () => this.#composer.focus(),
    })
    const sources = { client: this.#client, room: () => this.#room }
    this.#composer = new Composer(this.#parts, {
      ...sources, submit: (body, mode) => this.#send(body, mode), editLast: () => this.#actions.editLast(),
      modeChanged: () => this.#drawSoon(), toMessages: () => this.#timeline.focus(),
    })
    this.#actions = new MessageActions({
      ...sources, composer: this.#composer, pauseReading: () => this.#pauseReading(),
    })
    this.#banner = new ConnectionBanner(this.#parts.banner, this.#client)
    for (const each of [this.#timeline, this.#composer, this.#banner]) each.connect()
    this.#actions.connect(this)
    this.#listen(id)
    this.#adoptFirst()
    this.#room.open()
    this.#draw()
    // On a phone that would bring up the keyboard, over half of what one came to read.
    if (!config.embed && !this.#target && matchMedia("(hover: hover)").matches) this.#composer.focus()
  }

  disconnectedCallback() {
    for (const each of [this.#timeline, this.#composer, this.#banner, this.#actions]) each.disconnect()
    this.#ends.forEach((end) => end())
    cancelAnimationFrame(this.#frame)
    document.removeEventListener("visibilitychange", this.#looked)
    for (const name of ["focus", "blur"]) window.removeEventListener(name, this.#looked)
    window.removeEventListener("pagehide", this.#leaving)
  }

  #listen(id) {
    const { help, leave, join, "to-newest": toNewest } = this.#parts
    help.onclick = keyboardHelp
    leave.onclick = () => this.#leave()
    join.onclick = () => this.#try(this.#client.join(id))
    toNewest.onclick = () => this.#toNewest()
    this.#ends = [
      ...this.#listenTo(this.#room),
      this.#client.on("connection", () => this.#drawSoon()),
      this.#client.on("outbox", () => this.#drawSoon()),
      this.#client.rooms.on("added", (room) => room.id === id && this.#follow(room)),
    ]
    document.addEventListener("visibilitychange", this.#looked)
    for (const name of ["focus", "blur"]) window.addEventListener(name, this.#looked)
    window.addEventListener("pagehide", this.#leaving)
  }

  /** What the server printed is also here as data; a room that is known better already doesn't need it. */
  #adoptFirst() {
    const { first } = this.#parts
    if (!first) return
    first.remove()
    this.#room.adoptFirst(firstOf(JSON.parse(first.textContent)))
  }

  /** After one was removed and came back, the room is a new object. */
  #follow(room) {
    if (room === this.#room) return
    this.#room = room
    room.isLookedAt = isLookedAt()
    this.#ends.push(...this.#listenTo(room))
    room.open()
  }

  #listenTo(room) {
    return [
      room.on("change", () => this.#drawSoon()),
      room.on("failure", (error) => alertAbout(sentenceOf(error))),
    ]
  }

  // Actions

  async #send(body, mode) {
    if (mode.name === "edit") return this.#client.edit(mode.message.id, body)
    await this.#client.post(this.#room.id, body, { replyTo: mode.message?.id ?? null })
    await this.#toNewest()
  }

  async #leave() {
    const { kind, name = "" } = this.#room.state ?? {}
    const asked = kind === "direct" ? [texts.confirmHide, texts.hide] : [texts.confirmLeave({ name }), texts.leave]
    const yes = await confirm(...asked)
    if (yes && (await this.#try(this.#client.leave(this.#room.id)))) location.assign(homeUrl())
  }

  async #show(number) {
    if (!(await this.#try(this.#room.seek(number)))) return
    this.#target = number
    this.#draw()
    this.#timeline.show(number)
  }

  async #toNewest() {
    // Without a connection one still sees the end of what is here, and below it what waits to be sent.
    const goes = this.#room.timeline.reachesNewest || (this.#client.isLive && (await this.#try(this.#room.seek(null))))
    if (goes) this.#draw()
    this.#timeline.scrollToBottom()
    this.#moved()
  }

  #pauseReading() {
    this.#timeline.handsOff()
    this.#room.pauseReading()
  }

  // Callbacks

  /** @param {"loadOlder" | "loadNewer"} which */
  async #load(which) {
    if (this.#room.isLoading || !this.#client.isLive || this.#room.access !== "live") return
    if (performance.now() < this.#waitsUntil) return
    this.#loadFailed = false
    try {
      await this.#room[which]()
    } catch ({ retryAfterMs }) {
      this.#loadFailed = true
      // Without a connection the next one is a new chance.
      this.#waitsUntil = this.#client.isLive ? performance.now() + (retryAfterMs ?? AGAIN_MS) : 0
      this.#drawSoon()
    }
  }

  #moved() {
    const isThere = this.#timeline.isAtBottom && this.#room.timeline.reachesNewest
    this.#room.isFollowed = isThere
    this.#look()
    drawToNewest(this.#parts, this.#room, isThere || this.#room.timeline.isEmpty)
  }

  /** Who comes back to a hidden page starts where they left off, if more came than the screen holds. */
  #lookChanged() {
    this.#room.isLookedAt = isLookedAt()
    if (document.hidden) this.#wasHidden = true
    else if (this.#wasHidden) {
      this.#wasHidden = false
      if (this.#room.isFollowed && this.#room.unseen) this.#isPlaced = false
      this.#drawSoon()
    }
    this.#look()
  }

  /** What is on the screen of somebody who looks at it is read. */
  #look() {
    if (this.#isPlaced && isLookedAt()) this.#room.saw(this.#timeline.lastVisible)
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

  #drawSoon() {
    this.#frame ??= requestAnimationFrame(() => this.#draw())
  }

  #draw() {
    cancelAnimationFrame(this.#frame)
    this.#frame = null
    const { timeline, mine, state, comings, unreadFrom, isLoading } = this.#room
    const { parts, user } = { parts: this.#parts, user: this.#client.user }
    const context = {
      me: user, isLive: this.#client.isLive, canWrite: mayWrite(state), target: this.#target, isNewest: timeline.reachesNewest,
      editing: this.#composer.editing, ended: endOf(this.#client.connection),
    }
    const pending = this.#client.pending(this.#room.id)
    drawAbout(parts, this.#room, context)
    const isEmpty = timeline.isEmpty && pending.length === 0
    drawHint(parts, this.#room, { isLive: context.isLive, isEmpty, failed: this.#loadFailed })
    drawTyping(parts, this.#room)
    // Only what comes while one is there is news; pages of the past are not read out, nor all that one missed.
    const isNews = this.#isPlaced && this.#room.isFollowed && !isLoading && timeline.to - this.#last <= MOST_SPOKEN
    this.#last = timeline.to
    parts.timeline.ariaLive = isNews ? "polite" : "off"
    this.#timeline.update(rowsOf({ timeline, pending, me: user.id, mine, members: comings, unreadFrom }), {
      openMenu: (message, opener) => this.#actions.openMenu(message, opener),
      react: (message, emoji, isOn) => this.#actions.react(message, emoji, isOn),
      show: (number) => this.#show(number),
      retry: (clientId) => this.#try(this.#client.retry(clientId)),
      discard: (clientId) => this.#try(this.#client.discard(clientId)),
    }, context)
    if (!timeline.isLoaded) this.#isPlaced = false
    else if (!this.#isPlaced) this.#place()
  }

  /** Opening: at the message that is meant, at the first unread one, or at the newest. */
  #place() {
    this.#isPlaced = true
    const isThere = this.#seeks ? this.#timeline.show(this.#target) : this.#timeline.showUnread()
    this.#seeks = false
    if (!isThere) this.#timeline.scrollToBottom()
    this.#moved()
  }
}
