import { uuid } from "../uuid.js"
import { ConnectionBanner } from "./connection-banner.js"
import { h, partsOf } from "./dom.js"
import { pageClient, roomUrl } from "./page-client.js"
import { sentenceOf, texts } from "./texts.js"

/** `<chat-room-list current="12">` around the parts of chat/_sidebar.html: the person's rooms, live. */
export class ChatRoomList extends HTMLElement {
  #client
  #parts
  #frame = null
  /** Only on a page without a room, which has one of its own. */
  #banner = null
  #end = null
  /** The same for each try to make one room, so that a repeat after a lost answer makes no second one. */
  #creating = null
  #openRooms = []

  // Lifecycle

  connectedCallback() {
    this.#client = pageClient()
    this.#parts = partsOf(this)
    this.#end = this.#client.rooms.on("change", () => {
      this.#frame ??= requestAnimationFrame(() => this.#draw())
    })
    if (this.#parts.banner) {
      this.#banner = new ConnectionBanner(this.#parts.banner, this.#client)
      this.#banner.connect()
    }
    const { create, find, "create-form": form, "create-cancel": cancel, "create-dialog": createDialog } = this.#parts
    create.onclick = () => this.#startCreating()
    cancel.onclick = () => createDialog.close()
    form.onsubmit = (event) => this.#create(event)
    find.onclick = () => this.#find()
    this.#parts["find-close"].onclick = () => this.#parts["find-dialog"].close()
    this.#parts["more-rooms"].onclick = () => this.#moreOpenRooms()
  }

  disconnectedCallback() {
    this.#end()
    this.#banner?.disconnect()
    cancelAnimationFrame(this.#frame)
  }

  // Actions

  #startCreating() {
    this.#creating = uuid()
    this.#parts["create-form"].reset()
    this.#say("")
    this.#parts["create-dialog"].showModal()
  }

  async #create(event) {
    event.preventDefault()
    const form = new FormData(this.#parts["create-form"])
    const button = event.submitter
    button.disabled = true
    try {
      const [name, topic, kind] = ["name", "topic", "kind"].map((field) => form.get(field).trim())
      const room = await this.#client.createRoom({ name, kind, topic, clientId: this.#creating })
      location.assign(roomUrl(room.id))
    } catch (error) {
      this.#say(sentenceOf(error))
    } finally {
      button.disabled = false
    }
  }

  #find() {
    this.#openRooms = []
    this.#parts["open-rooms"].replaceChildren()
    this.#parts["find-dialog"].showModal()
    this.#moreOpenRooms()
  }

  async #moreOpenRooms() {
    const { "open-rooms": list, "open-rooms-hint": hint, "more-rooms": more } = this.#parts
    try {
      const page = await this.#client.openRooms(this.#openRooms.at(-1)?.id)
      this.#openRooms.push(...page.rooms)
      list.append(...page.rooms.map((room) => this.#openRoom(room)))
      more.hidden = !page.more
      hint.textContent = this.#openRooms.length ? "" : texts.noOpenRooms
    } catch (error) {
      hint.textContent = sentenceOf(error)
    }
  }

  async #join(room) {
    try {
      await this.#client.join(room.id)
      location.assign(roomUrl(room.id))
    } catch (error) {
      this.#parts["open-rooms-hint"].textContent = sentenceOf(error)
    }
  }

  // Internal

  #openRoom(room) {
    const isIn = this.#client.rooms.list.some(({ id }) => id === room.id)
    const topic = [room.topic, texts.members(room.memberCount)].filter(Boolean).join(" · ")
    const join = () => this.#join(room)
    return h("li", { class: "open-room" },
      h("a", { class: "open-room__about", href: roomUrl(room.id) },
        h("span", { class: "open-room__name", dir: "auto" }, room.name),
        h("span", { class: "open-room__topic", dir: "auto" }, topic)),
      isIn
        ? h("span", { class: "open-room__in" }, texts.youAreIn)
        : h("button", { class: "button", type: "button", onclick: join }, texts.join))
  }

  #draw() {
    this.#frame = null
    if (!this.#client.rooms.isKnown) return
    const current = this.getAttribute("current")
    const focused = document.activeElement?.closest?.(".room-link")?.dataset.room
    const rooms = this.#client.rooms.list
    this.#parts.empty.hidden = rooms.length > 0
    this.#parts.rooms.replaceChildren(...rooms.map((room) => this.#link(room, room.id === current)))
    if (focused) this.#parts.rooms.querySelector(`[data-room="${CSS.escape(focused)}"] a`)?.focus()
  }

  #link({ id, name, unread, mentions }, isCurrent) {
    const look = `room-link__count${mentions ? " room-link__count--mention" : ""}`
    const meaning = h("span", { class: "visually-hidden" }, ` ${texts.unread}`)
    const count = unread ? h("span", { class: look }, unread > 99 ? "99+" : String(unread), meaning) : null
    return h("li", { class: `room-link${unread ? " room-link--unread" : ""}`, data: { room: id } },
      h("a", { "class": "room-link__target", "href": roomUrl(id), "aria-current": isCurrent ? "page" : null },
        h("span", { class: "room-link__name", dir: "auto" }, name), count))
  }

  #say(sentence) {
    this.#parts["create-error"].textContent = sentence
    this.#parts["create-error"].hidden = sentence === ""
  }
}
