import { fold } from "../fold.js"
import { sectionsOf } from "../room-sections.js"
import { ConnectionBanner } from "./connection-banner.js"
import { attempt } from "./dialogs.js"
import { partsOf } from "./dom.js"
import { pageClient } from "./page-client.js"
import { roomUrl } from "./page-config.js"
import { drawn, fill } from "./templates.js"
import { sentenceOf, texts, titleOf } from "./texts.js"

/** The style sheet draws the lock of private rooms. */
const SIGNS = { open: "#", private: "", direct: "@" }

/** `<chat-room-list current="12">` wraps the parts of chat/_sidebar.html, and keeps the list of rooms live. */
export class ChatRoomList extends HTMLElement {
  #client
  #parts
  /** @type {Map<string, {line: Element, version: string}>} by room */
  #lines = new Map()
  #frame = null
  /** The element that scrolls. */
  #nav
  #sizes = new ResizeObserver(() => this.#drawBelow())
  /** Only on a page without a room: a room has its own banner. */
  #banner = null
  #ends = []
  /** The rooms of messages that are not sent. @type {Set<string>} */
  #unsent = new Set()
  /** What the list of strays shows. */
  #strays = "[]"
  /** The element that gets the focus back after a search. */
  #before = null
  #drawSoon = () => (this.#frame ??= requestAnimationFrame(() => this.#draw()))

  // Lifecycle

  connectedCallback() {
    this.#client = pageClient()
    this.#parts = partsOf(this)
    this.querySelectorAll("[data-room]").forEach((line) => this.#lines.set(line.dataset.room, { line, version: "" }))
    this.#ends = [
      this.#client.rooms.on("change", this.#drawSoon), this.#client.drafts.on("change", this.#drawSoon),
      this.#client.on("outbox", this.#drawSoon),
    ]
    this.#nav = this.querySelector("nav")
    this.#nav.onscroll = () => this.#drawBelow()
    this.#parts.below.onclick = () => this.#reveal(this.#below[0])
    const { find } = this.#parts
    find.oninput = () => this.#filter()
    find.onfocus = ({ relatedTarget }) => this.contains(relatedTarget) || (this.#before = relatedTarget)
    this.onkeydown = (event) => this.#onKey(event)
    this.#sizes.observe(this.#nav)
    this.#reveal(this.#current)
    if (this.#parts.banner) {
      this.#banner = new ConnectionBanner(this.#parts.banner, this.#client)
      this.#banner.connect()
    }
  }

  disconnectedCallback() {
    this.#ends.forEach((end) => end())
    this.#sizes.disconnect()
    this.#nav.onscroll = null
    this.#banner?.disconnect()
    cancelAnimationFrame(this.#frame)
    this.#frame = null
  }

  // Callbacks

  /** Arrow keys go through the search field and the rooms found; Escape ends the search, Enter opens the first room. */
  #onKey(event) {
    const { find } = this.#parts
    const stops = [find, ...this.querySelectorAll(".room-link__target")].filter((each) => each.checkVisibility())
    const at = stops.indexOf(event.target)
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    // While an input method composes a character, the key belongs to it.
    if (at < 0 || event.keyCode === 229) return
    if (step) stops.at((at + step) % stops.length).focus()
    else if (event.key === "Escape") {
      find.value = ""
      this.#filter()
      this.#before?.focus()
    } else if (event.key === "Enter" && !at) stops[1]?.click()
    else return
    event.preventDefault()
  }

  // Internal

  /** Shows only the rooms that match the search. */
  #filter() {
    const wanted = fold(this.#parts.find.value.trim())
    for (const { line } of this.#lines.values()) {
      line.hidden = !fold((line.querySelector("[data-part=title]") ?? line).textContent).includes(wanted)
    }
    if (wanted) this.#parts.archived.parentElement.open = true
    this.#drawBelow()
  }

  #draw() {
    this.#frame = null
    const { rooms } = this.#client
    if (!rooms.isKnown) return
    const { unsent } = this.#client
    this.#unsent = new Set(unsent.map(({ room }) => room))
    const sections = sectionsOf(rooms.list)
    const wasSeen = this.#isSeen(this.#current)
    const focused = this.contains(document.activeElement) ? document.activeElement : null
    for (const [name, states] of Object.entries(sections)) this.#fill(this.#parts[name], states)
    const listed = new Set(rooms.list.map(({ id }) => id))
    this.#drawStrays(unsent.filter(({ room }) => !listed.has(room) && room !== this.getAttribute("current")))
    for (const [id, { line }] of this.#lines) {
      if (listed.has(id)) continue
      line.remove()
      this.#lines.delete(id)
    }
    this.#parts.empty.hidden = sections.rooms.length > 0
    this.#parts.archived.parentElement.hidden = sections.archived.length === 0
    // An element that was moved has lost the focus.
    if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true })
    // Do nothing if somebody has scrolled away from the current room.
    if (wasSeen) this.#reveal(this.#current)
    this.#filter()
    this.#drawWayBack(rooms.list)
  }

  get #current() {
    return this.querySelector("[aria-current]")
  }

  #isSeen(element) {
    if (!element) return false
    const [edges, { top, bottom }] = [this.#nav.getBoundingClientRect(), element.getBoundingClientRect()]
    return top >= edges.top - 1 && bottom <= edges.bottom + 1
  }

  /** Scrolls a line into view. Only the list scrolls: a host's page around it stays where it is. */
  #reveal(line) {
    if (!line || this.#isSeen(line)) return
    const { top, height } = line.getBoundingClientRect()
    this.#nav.scrollTop += top - this.#nav.getBoundingClientRect().top - (this.#nav.clientHeight - height) / 2
  }

  /** The unread rooms below the visible part of the list. */
  get #below() {
    const { bottom } = this.#nav.getBoundingClientRect()
    const isBelow = (line) => line.checkVisibility() && line.getBoundingClientRect().top >= bottom
    return [...this.querySelectorAll(".room-link--unread")].filter(isBelow)
  }

  #drawBelow() {
    const { below } = this.#parts
    const count = this.#nav.clientHeight ? this.#below.length : 0
    below.hidden = count === 0
    below.textContent = count ? texts.unreadBelow({ count }) : ""
  }

  #fill(list, states) {
    let place = list.firstElementChild
    for (const state of states) {
      const line = this.#lineOf(state)
      if (line === place) place = place.nextElementSibling
      else list.insertBefore(line, place)
    }
  }

  /** Returns the same element for the same room, so that focus and scroll position are kept. */
  #lineOf(state) {
    const { id, kind, unread, mentions } = state
    const name = titleOf(state)
    const isDraft = id !== this.getAttribute("current") && this.#client.drafts.has(id)
    const isUnsent = this.#unsent.has(id)
    const version = JSON.stringify([kind, name, unread, mentions, isDraft, isUnsent])
    const held = this.#lines.get(id)
    if (held?.version === version) return held.line
    const { element, parts } = drawn("room-link")
    const line = held?.line ?? element
    const { target, sign } = parts
    sign?.classList.add(`room-link__sign--${kind}`)
    fill(sign, SIGNS[kind])
    fill(parts.title, name)
    if (kind !== "private") fill(parts.private, null)
    if (!isDraft) fill(parts.draft, null)
    if (!isUnsent) fill(parts.unsent, null)
    drawCount(parts, "mentions", mentions, "@")
    drawCount(parts, "unread", unread, "")
    parts.unread?.classList.toggle("room-link__count--personal", kind === "direct")
    if (held) line.firstElementChild.replaceChildren(...target.childNodes)
    else {
      element.dataset.room = id
      target.setAttribute("href", roomUrl(id))
      if (id === this.getAttribute("current")) target.ariaCurrent = "page"
    }
    line.classList.toggle("room-link--unread", Boolean(unread))
    this.#lines.set(id, { line, version })
    return line
  }

  /** Shows the unsent messages of rooms that are not listed any more, which no timeline shows. */
  #drawStrays(items) {
    const { strays, "stray-list": list } = this.#parts
    const version = JSON.stringify(items.map(({ clientId, state }) => [clientId, state]))
    if (!list || version === this.#strays) return
    this.#strays = version
    strays.hidden = items.length === 0
    list.replaceChildren(...items.map(({ clientId, body, state, error }) => {
      const { element, parts } = drawn("stray")
      fill(parts.text, body)
      fill(parts.reason, state === "failed" ? texts.notSent({ reason: sentenceOf(error) }) : texts.waitingToSend)
      for (const name of ["retry", "discard"]) {
        if (state !== "failed") fill(parts[name], null)
        else parts[name]?.addEventListener("click", () => attempt(this.#client[name](clientId)))
      }
      return element
    }))
  }

  /** On a phone the list is another page: the link to it shows how much is unread there. */
  #drawWayBack(states) {
    const back = this.closest(".chat")?.querySelector(".room__back")
    if (!back) return
    const current = this.getAttribute("current")
    const unread = states.reduce((sum, state) => sum + (state.id === current ? 0 : state.unread), 0)
    const isUnsent = [...this.#unsent].some((id) => id !== current)
    back.dataset.unread = isUnsent ? "!" : unread ? few(unread) : ""
    const words = unread ? texts.unreadElsewhere({ count: unread }) : texts.allRooms
    back.setAttribute("aria-label", isUnsent ? texts.unsentElsewhere : words)
  }
}

const few = (number) => (number > 99 ? "99+" : String(number))

function drawCount(parts, name, number, sign) {
  if (!number) return fill(parts[name], null)
  fill(parts[`${name}-short`], sign + few(number))
  fill(parts[`${name}-long`], `, ${texts[name]}: ${few(number)}`)
}
