// The scrolling log keeps its place when rows come in above or below, and stays at the bottom when the reader is there.
// Its flex direction is column-reverse: `scrollTop` is 0 at the bottom and negative above it, so that the newest rows
// show before any script has run, and stay in place while something above them changes its height.

import { viewOf, versionOf } from "./message-view.js"

/** This close to an end counts as being there, in pixels. */
const NEAR_BOTTOM = 48
const NEAR_END = 600
/** How much of a message must be on the screen for it to be seen, in pixels. */
const SEEN = 24
/** A scroll event this soon after a wheel, touch, pointer or key event is the person's own. */
const OWN_MS = 1_000
const SCROLL_KEYS = ["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End", " "]
/** What Tab reaches in the focused message. In all messages, that would be a hundred stops on the way. */
const REACHABLE = ".message__time[href], .message__quote, .message__body a, .reaction, .message__menu"
/** What may scroll sideways. Not every browser lets the keyboard do that by itself. */
const WIDE = ".message__body :is(pre, table)"
const SHORTCUTS = { r: "reply", e: "edit", Delete: "remove", Backspace: "remove", "+": "react", ":": "react", c: "copyLink", u: "markUnread" }

export class TimelineView {
  #log
  #rows
  /** @type {Map<string, {element: HTMLElement, version: string | null, row: import("../timeline-rows.js").Row | null}>} by key */
  #shown = new Map()
  #isAtBottom = true
  /** Whether the last row shown was the room's newest: only then may new ones push the others up. */
  #endsLive = false
  #movedAt = -Infinity
  /** The message that has or contains the focus. */
  #current = null
  #sizes
  #callbacks
  #listeners = new AbortController()

  /**
   * @param {HTMLElement} log scrolls
   * @param {HTMLElement} rows holds the rows, at first perhaps those that the server rendered
   * @param {{nearTop: () => void, nearBottom: () => void, moved: () => void, movedByHand: () => void,
   *   shortcut: (name: string, message: object, opener: HTMLElement) => void, leave: () => void}} callbacks
   */
  constructor(log, rows, callbacks) {
    this.#log = log
    this.#rows = rows
    this.#callbacks = callbacks
    // The log changes its size with the window, and when a phone shows its keyboard.
    this.#sizes = new ResizeObserver(() => {
      this.#onScroll()
      this.#setStops()
    })
  }

  // Lifecycle

  connect() {
    const { signal } = this.#listeners
    const byHand = () => {
      this.#movedAt = performance.now()
      // If there is nothing to scroll, the movement alone shows that somebody reads on.
      if (this.#log.scrollHeight <= this.#log.clientHeight) this.#onScroll()
    }
    this.#log.addEventListener("scroll", () => this.#onScroll(), { passive: true, signal })
    for (const name of ["wheel", "touchmove"]) this.#log.addEventListener(name, byHand, { passive: true, signal })
    this.#log.addEventListener("pointerdown", ({ target }) => target === this.#log && byHand(), { signal })
    this.#log.addEventListener("keydown", (event) => {
      if (SCROLL_KEYS.includes(event.key)) byHand()
      this.#onKey(event)
    }, { signal })
    for (const name of ["focusin", "focusout"]) {
      this.#log.addEventListener(name, ({ type, target, relatedTarget }) => {
        this.#current = (type === "focusin" ? target : relatedTarget)?.closest?.(".message") ?? null
        this.#setStops()
      }, { signal })
    }
    this.#sizes.observe(this.#log)
    for (const element of /** @type {NodeListOf<HTMLElement>} */ (this.#rows.querySelectorAll("[data-key]"))) {
      this.#shown.set(element.dataset.key, { element, version: null, row: null })
    }
    this.#isAtBottom = this.#isNearBottom
  }

  disconnect() {
    this.#listeners.abort()
    this.#sizes.disconnect()
  }

  // Actions

  get isAtBottom() {
    return this.#isAtBottom
  }

  /** @returns {{first: number, last: number, isEnd: boolean} | null} the messages on the screen, see ReadPointer */
  get visible() {
    if (!this.#log.clientHeight) return null
    const edges = this.#log.getBoundingClientRect()
    const [edge, end] = [Math.max(edges.top, 0), Math.min(edges.bottom, window.innerHeight)]
    // The page around the log has scrolled it away.
    if (end <= edge) return null
    const elements = this.#rows.querySelectorAll("[data-number]")
    const last = countOf(elements, ({ top, height }) => top + Math.min(height, SEEN) <= end) - 1
    if (last < 0) return null
    // If only other rows are on the screen, the message above them stands for them.
    const first = Math.min(last, countOf(elements, ({ bottom, height }) => bottom - Math.min(height, SEEN) < edge))
    const numberOf = (at) => Number(elements[at].dataset.number)
    return { first: numberOf(first), last: numberOf(last), isEnd: this.#endsLive && last === elements.length - 1 }
  }

  /** @param {import("../timeline-rows.js").Row[]} rows @param {{isNewest: boolean} & object} context see viewOf */
  update(rows, actions, context) {
    const anchor = this.#isAtBottom && this.#endsLive ? null : this.place
    const shown = new Map()
    let place = this.#rows.firstElementChild
    for (const row of rows) {
      const version = versionOf(row, context)
      const held = this.#shown.get(row.key)
      const element = held?.version === version ? held.element : viewOf(row, actions, context)
      if (held && held.element !== element) {
        // A row that only looks different was announced already; a pending one was not.
        if (held.row && held.row.kind !== "pending") element.ariaLive = "off"
        place = replace(held.element, element, place)
      }
      if (element === place) place = place.nextElementSibling
      else this.#rows.insertBefore(element, place)
      shown.set(row.key, { element, version, row })
    }
    for (const [key, { element }] of this.#shown) if (!shown.has(key)) this.#remove(element)
    this.#shown = shown
    this.#endsLive = context.isNewest
    if (!anchor) this.#log.scrollTop = 0
    else this.keepInPlace(anchor)
    this.#setStops()
    // A log that is not full can't be scrolled to ask for more.
    this.#onScroll()
  }

  /**
   * The topmost message on the screen. It is named by its key, because the element may be redrawn: the first one of a
   * page often gets or loses its author's name.
   * @returns {{key: string, top: number, number: number} | null} `number`: NaN if unsent
   */
  get place() {
    const { top: edge } = this.#log.getBoundingClientRect()
    for (const [key, { element }] of this.#shown) {
      const { top, bottom } = element.getBoundingClientRect()
      if (bottom > edge && element.matches("[data-number], .message")) return { key, top, number: Number(element.dataset.number) }
    }
    return null
  }

  /** Scrolls a message to where it was; if it is gone, to the newest. */
  keepInPlace({ key, top }) {
    const element = this.#shown.get(key)?.element
    const shift = element && element.getBoundingClientRect().top - top
    // If nothing moved, leave scrollTop alone: setting it could end a scroll in progress.
    if (shift) this.#log.scrollTop += shift
    else if (!element) this.#log.scrollTop = 0
    this.#isAtBottom = this.#isNearBottom
  }

  /** Forgets the last movement by hand: scrolling from now on is not the person's own. */
  handsOff() {
    this.#movedAt = -Infinity
  }

  scrollToBottom() {
    this.#log.scrollTop = 0
    this.#isAtBottom = true
  }

  /** Focuses the last loaded message. */
  focus() {
    const last = [...this.#rows.querySelectorAll(".message")].at(-1) ?? this.#log
    last.focus({ preventScroll: true })
    last.scrollIntoView({ block: "nearest" })
  }

  /** Puts a message in the middle and the focus on it. @returns {boolean} whether it is loaded */
  show(number) {
    const element = this.#rows.querySelector(`[data-number="${number}"]`)
    if (!element) return false
    this.#center(element)
    element.focus({ preventScroll: true })
    return true
  }

  /** Shows the unread line. @returns {boolean} whether there is one */
  showUnread() {
    const element = this.#shown.get("unread")?.element
    if (!element) return false
    const { top, bottom } = this.#log.getBoundingClientRect()
    const line = element.getBoundingClientRect()
    if (line.top < top || line.bottom > bottom) this.#center(element)
    return true
  }

  // Internal

  /** Puts an element in the middle. Only the log scrolls: a host's page around it stays where it is. */
  #center(element) {
    const { top, height } = element.getBoundingClientRect()
    const space = this.#log.clientHeight - height
    this.#log.scrollTop += top - this.#log.getBoundingClientRect().top - Math.max(0, space / 2)
    this.#isAtBottom = this.#isNearBottom
  }

  #remove(element) {
    if (element.contains(document.activeElement)) this.#log.focus({ preventScroll: true })
    element.remove()
  }

  get #isNearBottom() {
    return -this.#log.scrollTop < NEAR_BOTTOM
  }

  #onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.#log
    // A log that the page around it hides is at both ends at once, and would load the room's whole history.
    if (!clientHeight) return
    this.#isAtBottom = this.#isNearBottom
    if (performance.now() - this.#movedAt < OWN_MS) this.#callbacks.movedByHand()
    if (scrollHeight - clientHeight + scrollTop < NEAR_END) this.#callbacks.nearTop()
    if (-scrollTop < NEAR_END) this.#callbacks.nearBottom()
    this.#callbacks.moved()
  }

  /** Makes the log one stop for the Tab key. From the focused message, Tab goes on to what is inside it. */
  #setStops() {
    const set = (element, isStop) => element.tabIndex === -1 !== isStop || (element.tabIndex = isStop ? 0 : -1)
    for (const each of this.#rows.querySelectorAll(REACHABLE)) set(each, Boolean(this.#current?.contains(each)))
    for (const each of this.#rows.querySelectorAll(WIDE)) set(each, each.scrollWidth > each.clientWidth)
  }

  /**
   * Arrow keys go through the messages, Home and End to the first and the last. Enter opens the menu of the focused
   * one, letters do what that menu offers, and Escape goes to the composer.
   */
  #onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const messages = [...this.#rows.querySelectorAll(".message")]
    const at = messages.indexOf(this.#current)
    const last = messages.length - 1
    const up = at === -1 ? last : Math.max(0, at - 1)
    const goal = { ArrowUp: up, ArrowDown: at === -1 ? undefined : Math.min(last, at + 1), Home: 0, End: last }[event.key]
    if (goal !== undefined) return this.#walk(event, messages[goal])
    if (event.key === "Escape") return this.#callbacks.leave()
    // Inside a message, keys belong to the focused link or button.
    if (at === -1 || messages[at] !== document.activeElement) return
    const { message } = /** @type {any} */ (this.#shown.get(messages[at].dataset.key).row)
    const opener = messages[at].querySelector(".message__menu") ?? messages[at]
    const name = SHORTCUTS[event.key]
    if (!message || !(name || event.key === "Enter")) return
    // Otherwise the same key press would also push the menu's first button, or be typed where the focus goes.
    event.preventDefault()
    if (name) this.#callbacks.shortcut(name, message, /** @type {HTMLElement} */ (opener))
    else opener.click()
  }

  #walk(event, message) {
    if (!message) return
    event.preventDefault()
    message.focus({ preventScroll: true })
    message.scrollIntoView({ block: "nearest" })
  }
}

/** Counts the leading elements whose place satisfies `isSuch`, by binary search: no later one may satisfy it. */
function countOf(elements, isSuch) {
  let [from, to] = [0, elements.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if (isSuch(elements[middle].getBoundingClientRect())) from = middle + 1
    else to = middle
  }
  return from
}

/** Replaces a row by its new version, and puts the focus where it was in the old one. */
function replace(old, element, place) {
  const focusable = (line) => [...line.querySelectorAll("a, button, pre, table")]
  const hadFocus = old.contains(document.activeElement)
  const at = focusable(old).indexOf(document.activeElement)
  old.replaceWith(element)
  if (hadFocus) (focusable(element)[at] ?? element).focus({ preventScroll: true })
  return old === place ? element : place
}

/** The key of a page's place: each permalink of a room has its own. */
const placeOf = (room) => `chat-place|${room}|${location.pathname}`

/** Stores a place for Back and Forward, as long as the tab exists. @param {object | null} place null: at the newest */
export function keepPlace(room, place) {
  try {
    sessionStorage.setItem(placeOf(room), JSON.stringify(place))
  } catch {
    // The storage is full or forbidden: the reader then starts as on a first visit.
  }
}

/** @returns {object | null | undefined} the stored place, if Back or Forward led to this page */
export function placeBefore(room) {
  try {
    const [{ type }] = performance.getEntriesByType("navigation")
    if (type === "back_forward") return JSON.parse(sessionStorage.getItem(placeOf(room)))
  } catch {
    // The storage is forbidden: nothing was stored.
  }
}
