import { Close, firstOf } from "../protocol.js"
import { rowsOf } from "../timeline-rows.js"
import { mayWrite } from "../room-state.js"
import { Composer } from "./composer.js"
import { ConnectionBanner } from "./connection-banner.js"
import { alertAbout, attempt, confirm, say } from "./dialogs.js"
import { partsOf } from "./dom.js"
import { keyboardHelp } from "./keyboard-help.js"
import { MessageActions } from "./message-actions.js"
import { pageClient } from "./page-client.js"
import { config, homeUrl } from "./page-config.js"
import { drawAbout, drawHint, drawToNewest, drawTyping, isGone } from "./room-frame.js"
import { sentenceOf, texts, titleOf } from "./texts.js"
import { keepPlace, placeBefore, TimelineView } from "./timeline-view.js"

const AGAIN_MS = 5_000
/** When more messages than this come at once, screen readers don't announce them: they were missed, and can be read. */
const MOST_SPOKEN = 10

/** Returns why nothing can be written on this page any more, or null. */
const endOf = ({ name, code }) =>
  name === "stopped" && [Close.banned, Close.unsupported].includes(code) ? texts[`stopped.${code}`] : null

const isLookedAt = () => document.visibilityState === "visible" && document.hasFocus()

/** `<chat-room room="12" target="57">` keeps chat/_room.html live. `target`: the message number of a permalink. */
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
  /** After a refusal no page is requested before this time: each draw of a short page would request one. */
  #waitsUntil = 0
  /** Whether the log was scrolled to where the reader starts. */
  #isPlaced = false
  /** The number of the message that a link leads to, and whether to go there. */
  #target = null
  #seeks = false
  /** Where the reader was before they left the page and came back. */
  #before = null
  /** The number of the last message that was drawn. */
  #last = null
  #wasHidden = document.hidden
  #listeners

  // Lifecycle

  connectedCallback() {
    this.#client = pageClient()
    this.#parts = partsOf(this)
    const id = this.getAttribute("room")
    this.#target = Number(this.getAttribute("target")) || null
    this.#seeks = this.#target !== null
    this.#before = placeBefore(id)
    this.#room = this.#client.rooms.get(id)
    this.#room.isLookedAt = isLookedAt()
    const { timeline, rows } = this.#parts
    this.#timeline = new TimelineView(timeline, rows, {
      nearTop: () => this.#load("loadOlder"),
      nearBottom: () => this.#load("loadNewer"),
      moved: () => this.#moved(),
      movedByHand: () => this.#room.readPointer.resume(),
      shortcut: (name, message, opener) => this.#actions.shortcut(name, message, opener),
      leave: () => this.#composer.focus(),
    })
    const sources = { client: this.#client, room: () => this.#room }
    this.#composer = new Composer(this.#parts, {
      ...sources, submit: (...said) => this.#send(...said), editLast: () => this.#actions.editLast(),
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
    // Not on a phone, where the keyboard would cover half of the messages.
    if (!config.embed && !this.#target && matchMedia("(hover: hover)").matches) this.#composer.focus()
  }

  disconnectedCallback() {
    for (const each of [this.#timeline, this.#composer, this.#banner, this.#actions]) each.disconnect()
    this.#ends.forEach((end) => end())
    cancelAnimationFrame(this.#frame)
    this.#listeners.abort()
  }

  #listen(id) {
    const { help, leave, join, "to-newest": toNewest } = this.#parts
    const on = (part, event, act) => part && (part[event] = act)
    on(help, "onclick", keyboardHelp)
    // A click leaves the focus in the text, so that it is there again when the dialog is closed.
    on(help, "onmousedown", (event) => event.preventDefault())
    on(leave?.form, "onsubmit", (event) => {
      event.preventDefault()
      this.#leave()
    })
    on(join?.form, "onsubmit", (event) => {
      event.preventDefault()
      attempt(this.#client.join(id))
    })
    on(toNewest, "onclick", () => this.#toNewest())
    this.#ends = [
      ...this.#listenTo(this.#room),
      this.#client.on("connection", () => this.#drawSoon()),
      this.#client.on("outbox", () => this.#drawSoon()),
      this.#client.rooms.on("added", (room) => room.id === id && this.#follow(room)),
      this.#client.rooms.on("removed", (room) => room === this.#room && this.#watch()),
    ]
    const { signal } = (this.#listeners = new AbortController())
    const looked = () => this.#lookChanged()
    document.addEventListener("visibilitychange", looked, { signal })
    for (const name of ["focus", "blur"]) window.addEventListener(name, looked, { signal })
    window.addEventListener("pagehide", () => this.#leaving(), { signal })
  }

  /** Takes the data of the messages that the server rendered; a room that knows more already ignores it. */
  #adoptFirst() {
    const { first } = this.#parts
    if (!first) return
    first.remove()
    this.#room.adoptFirst(firstOf(JSON.parse(first.textContent)))
  }

  /** @returns {string | undefined} the room's name; "": the person may not see it any more; undefined: not known */
  get heading() {
    const { state } = this.#room
    return isGone(this.#room) ? "" : state && titleOf(state)
  }

  /** A person removed from an open room may go on reading it, and join again: the server decides. */
  #watch() {
    if (this.#room.state?.kind !== "open") return
    this.#follow(this.#client.rooms.get(this.#room.id))
    this.#room.connected()
    say(texts.removedFromRoom)
  }

  /** A person who was removed and comes back gets a new Room. */
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

  async #send(body, mode, draft) {
    if (mode.name === "edit") return body ? this.#client.edit(mode.message.id, body) : this.#actions.remove(mode.message)
    await this.#client.post(this.#room.id, body, { replyTo: mode.message?.id ?? null, draft })
    await this.#toNewest()
  }

  async #leave() {
    const { kind, name = "" } = this.#room.state ?? {}
    const asked = kind === "direct" ? [texts.confirmHide, texts.hide] : [texts.confirmLeave({ name }), texts.leave]
    const yes = await confirm(...asked)
    if (yes && (await attempt(this.#client.leave(this.#room.id)))) location.assign(homeUrl())
  }

  async #show(number) {
    // If the reader went elsewhere meanwhile, leave them there.
    if (!(await attempt(this.#room.seek(number))) || !this.#room.timeline.at(number)) return
    this.#target = number
    this.#seeks = true
    // Until it is shown, what happens to be on the screen does not count as seen.
    this.#isPlaced = false
    this.#draw()
  }

  async #toNewest() {
    // Without a connection, still go to the end of what is loaded: the messages that wait to be sent are below it.
    const canGo = this.#room.timeline.reachesNewest || this.#client.isLive
    if (canGo && (await attempt(this.#room.seek(null)))) this.#draw()
    this.#timeline.scrollToBottom()
    this.#moved()
  }

  #pauseReading() {
    this.#timeline.handsOff()
    this.#room.readPointer.pause()
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
      // Without a connection there is no wait: the next one is a new chance.
      this.#waitsUntil = this.#client.isLive ? performance.now() + (retryAfterMs ?? AGAIN_MS) : 0
      this.#drawSoon()
    }
  }

  #moved() {
    const isThere = this.#timeline.isAtBottom && this.#room.timeline.reachesNewest
    this.#room.isFollowed = isThere
    this.#look()
    // A reader who was put past unread messages keeps the button, and marks those as read by pressing it.
    drawToNewest(this.#parts, this.#room, (isThere && !this.#room.readPointer.isAhead) || this.#room.timeline.isEmpty)
  }

  #leaving() {
    this.#room.readPointer.flush()
    keepPlace(this.#room.id, this.#before ?? (this.#room.isFollowed ? null : this.#timeline.place))
  }

  /** A reader who comes back to a hidden page starts at the first message that they missed. */
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

  /** Messages on the screen count as read if somebody is looking. */
  #look() {
    const look = this.#isPlaced && isLookedAt() && this.#timeline.visible
    if (look) this.#room.saw(look)
  }

  // Internal

  #drawSoon() {
    this.#frame ??= requestAnimationFrame(() => this.#draw())
  }

  #draw() {
    cancelAnimationFrame(this.#frame)
    this.#frame = null
    const { timeline, mine, state, comings, unreadFrom, isLoading } = this.#room
    const [parts, { user }] = [this.#parts, this.#client]
    const context = {
      me: user, isLive: this.#client.isLive, canWrite: mayWrite(state), target: this.#target, isNewest: timeline.reachesNewest,
      editing: this.#composer.editing, ended: endOf(this.#client.connection),
    }
    const pending = this.#client.pending(this.#room.id)
    drawAbout(parts, this.#room, context)
    this.#composer.follow(timeline)
    const isEmpty = timeline.isEmpty && pending.length === 0
    drawHint(parts, this.#room, { isLive: context.isLive, isEmpty, failed: this.#loadFailed })
    drawTyping(parts, this.#room)
    // Announce only what comes while the reader is at the newest messages: no history, nor all that they missed.
    const isNews = this.#isPlaced && this.#room.isFollowed && !isLoading && timeline.to - this.#last <= MOST_SPOKEN
    this.#last = timeline.to
    parts.timeline.ariaLive = isNews ? "polite" : "off"
    const { groupMs } = config.timeline
    this.#timeline.update(rowsOf({ timeline, pending, me: user.id, mine, members: comings, unreadFrom, groupMs }), {
      openMenu: (message, opener) => this.#actions.openMenu(message, opener),
      react: (message, emoji, isOn) => this.#actions.react(message, emoji, isOn),
      show: (number) => this.#show(number),
      retry: (clientId) => attempt(this.#client.retry(clientId)),
      discard: (clientId) => attempt(this.#client.discard(clientId)),
    }, context)
    if (!timeline.isLoaded) this.#isPlaced = false
    else if (!this.#isPlaced) this.#place()
  }

  /** Goes to where the reader was before, or the linked message, or the first unread one, or the newest. */
  #place() {
    const before = this.#before
    if (before && !this.#room.timeline.at(before.number)) return this.#seekBefore(before)
    this.#isPlaced = true
    if (before || this.#seeks) this.#room.readPointer.leap()
    if (before) this.#timeline.keepInPlace(before)
    else if (!(this.#seeks ? this.#timeline.show(this.#target) : this.#timeline.showUnread())) this.#timeline.scrollToBottom()
    this.#before = null
    this.#seeks = false
    this.#moved()
  }

  /** Loads the place where the reader was before: it may be further back than the messages in the page. */
  async #seekBefore({ number }) {
    if (this.#room.access !== "live" || this.#room.isLoading) return
    await this.#room.seek(number).catch(() => {})
    if (!this.#room.timeline.at(number)) this.#before = null
    this.#drawSoon()
  }
}
