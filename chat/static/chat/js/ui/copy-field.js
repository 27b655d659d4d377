import { copy } from "./clipboard.js"

const SHOWN_MS = 2000

/**
 * `<copy-field>` wraps a text field and a button that copies it. Without scripts the button stays hidden. The field can
 * always be selected.
 */
export class CopyField extends HTMLElement {
  #timer = null
  #clicked = () => this.#copy()

  // Lifecycle

  connectedCallback() {
    this.#button.hidden = false
    this.#button.dataset.text ??= this.#button.textContent
    this.#button.addEventListener("click", this.#clicked)
  }

  disconnectedCallback() {
    this.#button.removeEventListener("click", this.#clicked)
    clearTimeout(this.#timer)
  }

  // Internal

  get #button() {
    return this.querySelector("button")
  }

  async #copy() {
    const field = this.querySelector("input")
    const { copied, selected, text } = this.#button.dataset
    const isCopied = await copy(field.value)
    field.select()
    this.#button.textContent = isCopied ? copied : selected
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => (this.#button.textContent = text), SHOWN_MS)
  }
}
