import { put } from "./dom.js"
import { pageClient } from "./page-client.js"
import { texts } from "./texts.js"

const EVERY_MS = 30_000

/**
 * `<chat-lobby>` wraps the open rooms on a page of the lobby. The person's own rooms are live. No events come for the
 * others, so the page is fetched again every 30 s, with its search and its place in the list, and merged.
 */
export class ChatLobby extends HTMLElement {
  #client
  #ends = []
  #timer = null
  #frame = null
  #seen = () => document.visibilityState === "visible" && this.#refresh()

  // Lifecycle

  connectedCallback() {
    this.#client = pageClient()
    const { rooms } = this.#client
    this.#ends = [
      rooms.on("change", () => (this.#frame ??= requestAnimationFrame(() => this.#draw()))),
      rooms.on("added", () => this.#refreshSoon()),
      rooms.on("removed", () => this.#refreshSoon()),
    ]
    document.addEventListener("visibilitychange", this.#seen)
    this.#draw()
    this.#wait(EVERY_MS)
  }

  disconnectedCallback() {
    this.#ends.forEach((end) => end())
    document.removeEventListener("visibilitychange", this.#seen)
    clearTimeout(this.#timer)
    cancelAnimationFrame(this.#frame)
  }

  // Internal

  #wait(ms) {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#seen, ms)
  }

  /** Waits a little, because a new list of rooms adds many at once. */
  #refreshSoon() {
    if (document.visibilityState === "visible") this.#wait(500)
  }

  async #refresh() {
    this.#wait(EVERY_MS)
    const answer = await fetch(location.href).catch(() => null)
    // A redirect means that the person is signed out by now.
    if (!answer?.ok || answer.redirected) return
    const text = await answer.text().catch(() => "")
    if (!this.isConnected) return
    const page = new DOMParser().parseFromString(text, "text/html")
    const fresh = page.querySelector(this.localName)
    if (fresh) this.#merge(fresh)
    this.#draw()
  }

  #merge(fresh) {
    const list = this.querySelector(".row-list")
    const freshList = fresh.querySelector(".row-list")
    // The lobby was empty or is empty now.
    if (!list || !freshList) return list || freshList ? this.replaceChildren(...fresh.childNodes) : undefined
    const held = new Map([...list.children].map((row) => [row.dataset.room, row]))
    let place = list.firstElementChild
    for (const row of [...freshList.children]) {
      const old = held.get(row.dataset.room)
      held.delete(row.dataset.room)
      const stays = old && wordsOf(old) === wordsOf(row) ? old : row
      if (old && stays === row) {
        if (old === place) place = row
        replace(old, row)
      }
      if (stays === place) place = place.nextElementSibling
      else list.insertBefore(stays, place)
    }
    held.forEach((row) => row.remove())
  }

  #draw() {
    this.#frame = null
    for (const { id, name, topic, memberCount, lastMessageAt } of this.#client.rooms.list) {
      const row = this.querySelector(`[data-room="${id}"]`)
      if (!row) continue
      const part = (name) => row.querySelector(`[data-part=${name}]`)
      put(part("name"), name)
      put(part("topic"), topic)
      part("topic")?.toggleAttribute("hidden", topic === "")
      put(part("members"), texts.members({ count: memberCount }))
      if (!lastMessageAt) continue
      part("last")?.setAttribute("datetime", lastMessageAt)
      part("last")?.removeAttribute("hidden")
      part("none-yet")?.remove()
    }
    for (const time of this.querySelectorAll("time")) {
      if (time.hidden) continue
      put(time, texts.lastMessage({ when: ago(Date.parse(time.dateTime) - Date.now()) }))
    }
  }
}

/** Returns the text of a row with absolute times, because relative ones change by themselves. */
function wordsOf(row) {
  const copy = row.cloneNode(true)
  for (const time of copy.querySelectorAll("time")) time.replaceWith(time.dateTime)
  return copy.textContent
}

function replace(old, row) {
  const targets = "a, button"
  const focused = [...old.querySelectorAll(targets)].indexOf(document.activeElement)
  old.replaceWith(row)
  if (focused !== -1) [...row.querySelectorAll(targets)].at(Math.min(focused, row.querySelectorAll(targets).length - 1))?.focus()
}

const relative = new Intl.RelativeTimeFormat(document.documentElement.lang || undefined, { numeric: "auto" })
/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [["year", 31_536_000], ["month", 2_592_000], ["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]]

/** Returns "5 minutes ago" and the like. @param {number} ms from now; a future time, by a wrong clock, counts as now */
function ago(ms) {
  const seconds = Math.min(0, Math.round(ms / 1000))
  const [unit, length] = UNITS.find(([, each]) => -seconds >= each) ?? UNITS.at(-1)
  return relative.format(Math.trunc(seconds / length), unit)
}
