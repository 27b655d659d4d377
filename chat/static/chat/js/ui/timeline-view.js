// The scrolling log: keeps its place when older lines come in above, stays at the bottom when one reads the newest.

import { viewOf, versionOf } from "./message-view.js"

/** So close to an end counts as there, in pixels. */
const NEAR_BOTTOM = 48
const NEAR_TOP = 600

export class TimelineView {
  #log
  #rows
  #shown = new Map()
  #isAtBottom = true
  #size = ""
  #sizes
  #callbacks
  #scrolled = () => this.#onScroll()
  #keyed = (event) => this.#onKey(event)

  /**
   * @param {HTMLElement} log scrolls @param {HTMLElement} rows holds the lines
   * @param {{nearTop: () => void, moved: () => void, openMenu: Function}} callbacks
   */
  constructor(log, rows, callbacks) {
    this.#log = log
    this.#rows = rows
    this.#callbacks = callbacks
    // Fonts, code and later pictures change heights after they were laid out; so does the keyboard of a phone.
    this.#sizes = new ResizeObserver(() => this.#isAtBottom && this.scrollToBottom())
  }

  // Lifecycle

  connect() {
    this.#log.addEventListener("scroll", this.#scrolled, { passive: true })
    this.#log.addEventListener("keydown", this.#keyed)
    this.#sizes.observe(this.#log)
    this.#sizes.observe(this.#rows)
  }

  disconnect() {
    this.#log.removeEventListener("scroll", this.#scrolled)
    this.#log.removeEventListener("keydown", this.#keyed)
    this.#sizes.disconnect()
  }

  // Actions

  get isAtBottom() {
    return this.#isAtBottom
  }

  /** @param {import("../rows.js").Row[]} rows */
  update(rows, actions, context) {
    const anchor = this.#isAtBottom ? null : this.#topmostVisible()
    const shown = new Map()
    let place = this.#rows.firstElementChild
    for (const row of rows) {
      const version = versionOf(row, context)
      const held = this.#shown.get(row.key)
      const element = held?.version === version ? held.element : viewOf(row, actions, context)
      if (held && held.element !== element) place = this.#replace(held.element, element, place)
      if (element === place) place = place.nextElementSibling
      else this.#rows.insertBefore(element, place)
      shown.set(row.key, { element, version })
    }
    for (const [key, { element }] of this.#shown) if (!shown.has(key)) element.remove()
    this.#shown = shown
    if (this.#isAtBottom) this.scrollToBottom()
    else if (anchor) this.#keepInPlace(anchor)
    // A page that doesn't fill the window can't be scrolled to ask for more.
    this.#onScroll()
  }

  scrollToBottom() {
    this.#isAtBottom = true
    this.#log.scrollTop = this.#log.scrollHeight
  }

  /** @returns {boolean} whether the message is there to be shown */
  show(number) {
    const element = this.#rows.querySelector(`[data-number="${number}"]`)
    element?.scrollIntoView({ block: "center" })
    element?.focus()
    return element !== null
  }

  // Internal

  #replace(old, element, place) {
    const hadFocus = old.contains(document.activeElement)
    old.replaceWith(element)
    if (hadFocus) element.focus({ preventScroll: true })
    return old === place ? element : place
  }

  /** By its key, for the line itself may be drawn anew: the first one of a page often gets or loses its name. */
  #topmostVisible() {
    const { top: edge } = this.#log.getBoundingClientRect()
    for (const [key, { element }] of this.#shown) {
      const { top, bottom } = element.getBoundingClientRect()
      if (bottom > edge && element.matches(".message")) return { key, top }
    }
    return null
  }

  #keepInPlace({ key, top }) {
    const element = this.#shown.get(key)?.element
    if (element) this.#log.scrollTop += element.getBoundingClientRect().top - top
  }

  #onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.#log
    const size = `${scrollHeight} in ${clientHeight}`
    // A banner that comes or goes moves the bottom away from the reader; only scrolling moves the reader from it.
    if (this.#isAtBottom && size !== this.#size) this.scrollToBottom()
    else this.#isAtBottom = scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM
    this.#size = size
    if (scrollTop < NEAR_TOP) this.#callbacks.nearTop()
    this.#callbacks.moved()
  }

  /** Arrow keys walk through the messages; Enter opens the menu of the one in focus. */
  #onKey(event) {
    const messages = [...this.#rows.querySelectorAll(".message")]
    const at = messages.indexOf(document.activeElement)
    if (event.key === "ArrowUp") this.#walk(event, messages.at(at === -1 ? -1 : Math.max(0, at - 1)))
    else if (event.key === "ArrowDown" && at !== -1) this.#walk(event, messages[Math.min(messages.length - 1, at + 1)])
    else if (event.key === "Enter" && at !== -1) {
      // Otherwise the same key press would go on to push the menu's first button.
      event.preventDefault()
      messages[at].querySelector(".message__menu")?.click()
    }
  }

  #walk(event, message) {
    if (!message) return
    event.preventDefault()
    message.focus({ preventScroll: true })
    message.scrollIntoView({ block: "nearest" })
  }
}
