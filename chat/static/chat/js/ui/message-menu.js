import { drawn, fill } from "./templates.js"
import { sentenceOf } from "./texts.js"

const GAP = 4
/** How arrow keys move through the choices; left and right mean the same as up and down. */
const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }

/**
 * The menu of a message: one popover for all messages, next to the button that opened it. Escape and a click elsewhere
 * close it; the focus goes back to the message.
 */
export class MessageMenu {
  #popover = drawn("message-menu").element
  #number = null
  /** Closes the menu when its message is deleted or no longer shown: nothing is left to choose. */
  #watch = new MutationObserver(() => this.#message?.querySelector(".message__menu") || this.#popover.hidePopover())

  constructor() {
    // "beforetoggle" comes while the focus is still inside. A focus that a click has put elsewhere stays there.
    this.#popover.addEventListener("beforetoggle", ({ newState }) => {
      if (newState !== "closed") return
      this.#watch.disconnect()
      this.#message?.classList.remove("message--open")
      if (this.#popover.contains(document.activeElement)) (this.#message ?? this.#log).focus({ preventScroll: true })
    })
    this.#popover.addEventListener("keydown", (event) => this.#onKey(event))
  }

  // Lifecycle

  connect(host) {
    host.append(this.#popover)
  }

  disconnect() {
    this.#watch.disconnect()
    this.#popover.remove()
  }

  /**
   * @param {HTMLElement} opener
   * @param {object} actions
   * @param {((emoji: string) => void) | false} actions.react
   * @param {(emoji: string) => Promise<void>} actions.tryEmoji throws ChatError: the person can try another one
   * @param {{name: string, label: string, work: () => void}[]} actions.choices
   */
  open(opener, { react, tryEmoji, choices }) {
    this.#number = opener.closest("[data-number]")?.dataset.number
    const pick = (work) => () => {
      this.#popover.hidePopover()
      work()
    }
    const { element, parts } = drawn("message-menu")
    const items = choices.map(({ name, label, work }) => {
      const item = /** @type {HTMLElement} */ (parts.item.cloneNode(true))
      item.classList.toggle("menu__item--danger", name === "remove")
      item.onclick = pick(work)
      fill(item, label)
      return item
    })
    parts.item.replaceWith(...items)
    if (react) drawReactions(parts, react, pick, async (emoji) => {
      await tryEmoji(emoji)
      this.#popover.hidePopover()
    })
    else for (const name of ["emoji", "form", "error"]) fill(parts[name], null)
    this.#popover.replaceChildren(...element.children)
    this.#popover.showPopover()
    this.#message?.classList.add("message--open")
    this.#watch.observe(this.#log, { childList: true, subtree: true })
    this.#place(opener.getBoundingClientRect())
    this.#popover.querySelector("button").focus()
  }

  // Internal

  #onKey(event) {
    if (event.target.matches("input") && !["ArrowDown", "ArrowUp"].includes(event.key)) return
    const buttons = [...this.#popover.querySelectorAll("button, input")]
    const at = buttons.indexOf(event.target)
    const next = { Home: 0, End: buttons.length - 1 }[event.key] ?? (at + STEPS[event.key] + buttons.length) % buttons.length
    if (Number.isNaN(next)) return
    event.preventDefault()
    buttons[next].focus()
  }

  /** The message that the menu belongs to. It is looked up each time, because it may have been redrawn. */
  get #message() {
    return this.#log.querySelector(`[data-number="${this.#number}"]`)
  }

  get #log() {
    return this.#popover.parentElement.querySelector("[role=log]")
  }

  #place(near) {
    const { offsetWidth: width, offsetHeight: height } = this.#popover
    const below = near.bottom + GAP + height < window.innerHeight
    const top = below ? near.bottom + GAP : near.top - GAP - height
    this.#popover.style.top = `${Math.max(GAP, Math.min(top, window.innerHeight - height - GAP))}px`
    this.#popover.style.left = `${Math.max(GAP, Math.min(near.right - width, window.innerWidth - width - GAP))}px`
  }
}

function drawReactions({ emoji: row, form, other, error }, react, pick, tryOther) {
  for (const each of row?.children ?? []) each.onclick = pick(() => react(each.value))
  form?.addEventListener("submit", (event) => {
    event.preventDefault()
    fill(error, "")
    tryOther(other.value.trim()).catch((problem) => fill(error, sentenceOf(problem)))
  })
}
