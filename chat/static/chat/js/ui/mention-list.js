import { completed, fitting, mentionAt } from "../mentions.js"
import { drawn, fill } from "./templates.js"

/** A list box of the people who match what follows an "@". The text field keeps the focus. */
export class MentionList {
  #text
  #people
  #list = drawn("mentions").element
  #found = []
  #at = 0
  #place = null
  /** The place of the "@" for which Escape closed the list: it stays closed for that one. */
  #closedAt = null

  /**
   * @param {HTMLTextAreaElement} text
   * @param {{present: () => import("../protocol.js").Member[], load: () => Promise<any>, me: string}} people
   */
  constructor(text, people) {
    this.#text = text
    this.#people = people
    this.#list.id = `${text.id}-people`
    text.after(this.#list)
  }

  disconnect() {
    this.#list.remove()
  }

  get isOpen() {
    return this.#found.length > 0
  }

  /** Updates the list after a change of the text or the caret. */
  update() {
    const { value, selectionStart: caret, selectionEnd: end } = this.#text
    this.#place = caret === end ? mentionAt(value, caret) : null
    if (!this.#place) this.#closedAt = null
    if (!this.#place || this.#place.from === this.#closedAt) return this.#show([])
    this.#people.load().then(() => this.#place && this.#find(), () => {})
    this.#find()
  }

  hide() {
    this.#show([])
  }

  /** @returns {boolean} whether the key was for the list */
  key(event) {
    if (!this.isOpen) return false
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step) this.#mark((this.#at + step + this.#found.length) % this.#found.length)
    else if (event.key === "Enter" || event.key === "Tab") this.#pick(this.#found[this.#at])
    else if (event.key === "Escape") this.#dismiss()
    else return false
    event.preventDefault()
    event.stopPropagation()
    return true
  }

  // Internal

  #dismiss() {
    this.#closedAt = this.#place.from
    this.hide()
  }

  #find() {
    if (this.#place.from === this.#closedAt || document.activeElement !== this.#text) return
    const { query } = this.#place
    const found = fitting(this.#people.present(), query, this.#people.me)
    // When the only match is written out in full there is nothing to choose, and Enter sends.
    this.#show(found.length === 1 && found[0].handle === query ? [] : found)
  }

  #show(found) {
    this.#found = found
    const { isOpen } = this
    const wiring = { "role": "combobox", "aria-expanded": "true", "aria-controls": this.#list.id, "aria-autocomplete": "list" }
    for (const [name, value] of Object.entries(wiring)) {
      if (isOpen) this.#text.setAttribute(name, value)
      else this.#text.removeAttribute(name)
    }
    if (!isOpen) this.#text.removeAttribute("aria-activedescendant")
    this.#list.hidden = !isOpen
    if (!isOpen) return
    this.#list.replaceChildren(...found.map((member, at) => this.#option(member, at)))
    this.#mark(0)
  }

  #option(member, at) {
    // `mousedown` comes before the text would lose the focus, and after a touch has turned out not to be a scroll.
    const pick = (event) => {
      event.preventDefault()
      this.#pick(member)
    }
    const { element, parts } = drawn("mention")
    element.id = `${this.#list.id}-${at}`
    element.onmousedown = pick
    fill(parts.name, member.user.name)
    fill(parts.handle, `@${member.handle}`)
    return element
  }

  #mark(at) {
    this.#at = at
    for (const [each, option] of [...this.#list.children].entries()) option.setAttribute("aria-selected", String(each === at))
    this.#list.children[at].scrollIntoView({ block: "nearest" })
    this.#text.setAttribute("aria-activedescendant", this.#list.children[at].id)
  }

  #pick({ handle }) {
    const { value, selectionStart: end } = this.#text
    const { from } = this.#place
    const { text, caret } = completed(value, this.#place, end, handle)
    this.#text.setSelectionRange(from, end)
    // Insert as if it were typed: setting the field's value would clear what can be undone.
    document.execCommand("insertText", false, text.slice(from, text.length - value.length + end))
    this.#text.setSelectionRange(caret, caret)
    this.update()
  }
}
