import { TypingSignal } from "../typing.js"
import { sentenceOf, texts } from "./texts.js"

/** Where one writes: a new message, a reply, or another text for one's own message. */
export class Composer {
  #parts
  #mode = { name: "new" }
  #typing
  #submit
  #editLast
  #listeners = new AbortController()

  /**
   * @param {object} parts of the template
   * @param {object} options
   * @param {import("../clock.js").Clock} options.clock
   * @param {(active: boolean) => void} options.tellTyping
   * @param {(body: string, mode: {name: "new"} | {name: "reply" | "edit", message: object}) => Promise<void>} options.submit
   * @param {() => void} options.editLast
   */
  constructor(parts, { clock, tellTyping, submit, editLast }) {
    this.#parts = parts
    this.#typing = new TypingSignal(clock, tellTyping)
    this.#submit = submit
    this.#editLast = editLast
  }

  // Lifecycle

  connect() {
    const { composer, text, "about-cancel": cancel } = this.#parts
    const { signal } = this.#listeners
    composer.addEventListener("submit", (event) => this.#onSubmit(event), { signal })
    text.addEventListener("keydown", (event) => this.#onKey(event), { signal })
    text.addEventListener("input", () => this.#onInput(), { signal })
    cancel.addEventListener("click", () => this.#start({ name: "new" }, ""), { signal })
  }

  disconnect() {
    this.#listeners.abort()
  }

  // Actions

  reply(message) {
    this.#start({ name: "reply", message }, this.#mode.name === "edit" ? "" : this.#parts.text.value)
  }

  edit(message) {
    this.#start({ name: "edit", message }, message.body)
  }

  // Callbacks

  #onKey(event) {
    // While an input method composes a character, Enter belongs to it.
    if (event.isComposing) return
    if (event.key === "Enter" && !event.shiftKey) this.#onSubmit(event)
    else if (event.key === "Escape" && this.#mode.name !== "new") this.#start({ name: "new" }, "")
    else if (event.key === "ArrowUp" && this.#parts.text.value === "" && this.#mode.name === "new") {
      event.preventDefault()
      this.#editLast()
    }
  }

  #onInput() {
    this.#fit()
    this.#say("")
    if (this.#parts.text.value.trim() === "") this.#typing.stopped()
    else if (this.#mode.name !== "edit") this.#typing.typed()
  }

  async #onSubmit(event) {
    event.preventDefault()
    const body = this.#parts.text.value
    const mode = this.#mode
    if (body.trim() === "") return
    this.#typing.stopped()
    // Empty at once: who writes fast sends the next one before this one is kept.
    this.#start({ name: "new" }, "")
    try {
      await this.#submit(body, mode)
    } catch (error) {
      // Nothing is lost: the text comes back, before whatever was typed since.
      const since = this.#parts.text.value
      this.#start(mode, since ? `${body}\n${since}` : body)
      this.#say(sentenceOf(error))
    }
  }

  // Internal

  #start(mode, value) {
    const { text, about, "about-text": aboutText } = this.#parts
    this.#mode = mode
    text.value = value
    about.hidden = mode.name === "new"
    aboutText.textContent = {
      new: () => "",
      edit: () => texts.editing,
      reply: ({ author }) => texts.replyingTo(author?.name ?? texts.unknownAuthor),
    }[mode.name](mode.message)
    this.#say("")
    this.#fit()
    text.focus()
    text.setSelectionRange(value.length, value.length)
  }

  /** As high as its text, where style sheets can't say so yet. */
  #fit() {
    if (CSS.supports("field-sizing", "content")) return
    const { text } = this.#parts
    text.style.height = "auto"
    text.style.height = `${text.scrollHeight + text.offsetHeight - text.clientHeight}px`
  }

  #say(sentence) {
    this.#parts.error.textContent = sentence
    this.#parts.error.hidden = sentence === ""
  }
}
