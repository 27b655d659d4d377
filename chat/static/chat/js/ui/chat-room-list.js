import { sectionsOf } from "../room-sections.js"
import { ConnectionBanner } from "./connection-banner.js"
import { h, partsOf } from "./dom.js"
import { pageClient } from "./page-client.js"
import { roomUrl } from "./page-config.js"
import { texts } from "./texts.js"

const SIGNS = { open: "#", private: "◇", direct: "@" }

/** `<chat-room-list current="12">` around the parts of chat/_sidebar.html: the person's rooms, live. */
export class ChatRoomList extends HTMLElement {
  #client
  #parts
  /** @type {Map<string, {line: HTMLElement, version: string}>} by room */
  #lines = new Map()
  #frame = null
  /** Only on a page without a room, which has one of its own. */
  #banner = null
  #end = null

  // Lifecycle

  connectedCallback() {
    this.#client = pageClient()
    this.#parts = partsOf(this)
    this.querySelectorAll("[data-room]").forEach((line) => this.#lines.set(line.dataset.room, { line, version: "" }))
    this.#end = this.#client.rooms.on("change", () => {
      this.#frame ??= requestAnimationFrame(() => this.#draw())
    })
    if (this.#parts.banner) {
      this.#banner = new ConnectionBanner(this.#parts.banner, this.#client)
      this.#banner.connect()
    }
  }

  disconnectedCallback() {
    this.#end()
    this.#banner?.disconnect()
    cancelAnimationFrame(this.#frame)
  }

  // Internal

  #draw() {
    this.#frame = null
    const { rooms } = this.#client
    if (!rooms.isKnown) return
    const sections = sectionsOf(rooms.list)
    const focused = this.contains(document.activeElement) ? document.activeElement : null
    for (const [name, states] of Object.entries(sections)) this.#fill(this.#parts[name], states)
    const listed = new Set(rooms.list.map(({ id }) => id))
    for (const [id, { line }] of this.#lines) {
      if (listed.has(id)) continue
      line.remove()
      this.#lines.delete(id)
    }
    this.#parts.empty.hidden = sections.rooms.length > 0
    this.#parts.archived.parentElement.hidden = sections.archived.length === 0
    // What is moved loses it.
    if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true })
    this.#drawWayBack(rooms.list)
  }

  #fill(list, states) {
    let place = list.firstElementChild
    for (const state of states) {
      const line = this.#lineOf(state)
      if (line === place) place = place.nextElementSibling
      else list.insertBefore(line, place)
    }
  }

  /** The same element for the same room, so that neither focus nor scroll place is lost. */
  #lineOf(state) {
    const { id, kind, name, unread, mentions } = state
    const version = JSON.stringify([kind, name, unread, mentions])
    const held = this.#lines.get(id)
    if (held?.version === version) return held.line
    const line = held?.line ?? h("li", { data: { room: id } }, h("a", {
      "class": "room-link__target", "href": roomUrl(id), "aria-current": id === this.getAttribute("current") ? "page" : null,
    }))
    line.className = `room-link${unread ? " room-link--unread" : ""}`
    line.firstElementChild.replaceChildren(
      h("span", { "class": "room-link__sign", "aria-hidden": "true" }, SIGNS[kind]),
      h("span", { class: "room-link__name", dir: "auto" }, name),
      ...(mentions ? [count(`@${few(mentions)}`, texts.namedYou, "room-link__count--mention")] : []),
      ...(unread ? [count(few(unread), texts.unread)] : []))
    this.#lines.set(id, { line, version })
    return line
  }

  /** On a phone the list is another page: the way there says what waits on it. */
  #drawWayBack(states) {
    const back = this.closest(".chat")?.querySelector(".room__back")
    if (!back) return
    const current = this.getAttribute("current")
    const unread = states.reduce((sum, state) => sum + (state.id === current ? 0 : state.unread), 0)
    back.dataset.unread = unread ? few(unread) : ""
    back.setAttribute("aria-label", unread ? texts.unreadElsewhere({ count: unread }) : texts.allRooms)
  }
}

const few = (number) => (number > 99 ? "99+" : String(number))

const count = (number, meaning, look = "") =>
  h("span", { class: `room-link__count ${look}`.trim() }, number, h("span", { class: "visually-hidden" }, ` ${meaning}`))
