import { h } from "./dom.js"
import { texts } from "./texts.js"

const EMOJI = ["👍", "❤️", "😂", "🎉", "👀", "✅"]
const GAP = 4

/**
 * What can be done with a message: one popover for all of them, next to the button that opened it. Escape and a click
 * elsewhere close it; the focus goes back.
 */
export class MessageMenu {
  #popover = h("div", { class: "menu", popover: "auto", role: "dialog", "aria-label": texts.messageActions })
  #opener = null

  constructor() {
    // "beforetoggle": while the focus is still inside; one that a click has put elsewhere stays there.
    this.#popover.addEventListener("beforetoggle", ({ newState }) => {
      if (newState === "closed" && this.#popover.contains(document.activeElement)) this.#opener.focus()
    })
  }

  // Lifecycle

  connect(host) {
    host.append(this.#popover)
  }

  disconnect() {
    this.#popover.remove()
  }

  /**
   * @param {HTMLElement} opener
   * @param {{react: (emoji: string) => void, choices: [string, () => void][]}} actions
   */
  open(opener, { react, choices }) {
    this.#opener = opener
    const pick = (work) => () => {
      this.#popover.hidePopover()
      work()
    }
    const emoji = EMOJI.map((each) => h("button", {
      "class": "menu__emoji", "type": "button", "aria-label": texts.reactWith(each), "onclick": pick(() => react(each)),
    }, each))
    const other = h("input", {
      "class": "field__input menu__other", "name": "emoji", "aria-label": texts.otherEmoji, "placeholder": texts.otherEmoji,
      "maxlength": "32", "autocomplete": "off", "required": true,
    })
    const form = h("form", {
      class: "menu__form",
      onsubmit: (event) => {
        event.preventDefault()
        pick(() => react(other.value.trim()))()
      },
    }, other, h("button", { class: "button", type: "submit" }, texts.addEmoji))
    const items = choices.map(([label, work]) => h("button", { class: "menu__item", type: "button", onclick: pick(work) }, label))
    this.#popover.replaceChildren(h("div", { class: "menu__row" }, ...emoji), form, ...items)
    this.#popover.showPopover()
    this.#place(opener.getBoundingClientRect())
    this.#popover.querySelector("button").focus()
  }

  #place(near) {
    const { offsetWidth: width, offsetHeight: height } = this.#popover
    const below = near.bottom + GAP + height < window.innerHeight
    const top = below ? near.bottom + GAP : near.top - GAP - height
    this.#popover.style.top = `${Math.max(GAP, top)}px`
    this.#popover.style.left = `${Math.max(GAP, Math.min(near.right - width, window.innerWidth - width - GAP))}px`
  }
}
