import { DraftKeeper } from "../drafts.js"
import { excerptOf } from "../timeline-rows.js"
import { TypingSignal } from "../typing.js"
import { put, wordsOf } from "./dom.js"
import { MentionList } from "./mention-list.js"
import { config } from "./page-config.js"
import { sentenceOf, texts } from "./texts.js"

/** When no more characters than this are left, the counter appears. */
const NEAR_LIMIT = 500
const NEW = { name: "new" }

/** The form for a new message, a reply, or an edit of one of the person's own messages. */
export class Composer {
  #parts
  #client
  #submit
  #editLast
  #modeChanged
  #toMessages
  #typing
  #drafts
  #mentions
  /** @type {any} */
  #mode = NEW
  /** The draft that an edit interrupted. @type {import("../drafts.js").Draft | null} */
  #parked = null
  #listeners = new AbortController()

  /**
   * @param {object} parts of the template
   * @param {object} options
   * @param {import("../client.js").ChatClient} options.client
   * @param {() => import("../room.js").Room} options.room
   * @param {(body: string, mode: {name: "new"} | {name: "reply" | "edit", message: object},
   *   draft?: import("../memory-store.js").DraftName | null) => Promise<any>} options.submit
   *   an edit without text asks whether to delete the message, and resolves with whether that was done
   * @param {() => void} options.editLast
   * @param {() => void} options.modeChanged called when another message is edited, or none
   * @param {() => void} options.toMessages
   */
  constructor(parts, { client, room, submit, editLast, modeChanged, toMessages }) {
    this.#parts = parts
    this.#client = client
    this.#submit = submit
    this.#editLast = editLast
    this.#modeChanged = modeChanged
    this.#toMessages = toMessages
    const { id } = room()
    this.#typing = new TypingSignal(client.clock, (active) => client.tellTyping(id, active))
    const { drafts, clock } = client
    this.#drafts = new DraftKeeper({ room: id, drafts, clock, found: () => this.#takeUp() })
    this.#mentions = new MentionList(parts.text, {
      present: () => room().members.present, me: client.user.id,
      load: async () => room().members.isLoaded || room().loadMembers(),
    })
  }

  // Lifecycle

  connect() {
    const { composer, text, "about-cancel": cancel } = this.#parts
    const { signal } = this.#listeners
    composer.addEventListener("submit", (event) => this.#onSubmit(event), { signal })
    text.addEventListener("keydown", (event) => this.#onKey(event), { signal })
    text.addEventListener("input", () => this.#onInput(), { signal })
    text.addEventListener("blur", () => {
      this.#mentions.hide()
      // The person may go on writing in another window.
      this.#drafts.flush()
    }, { signal })
    text.addEventListener("click", () => this.#mentions.update(), { signal })
    cancel.addEventListener("click", () => this.#cancel(), { signal })
    window.addEventListener("pagehide", () => this.#drafts.flush(), { signal })
    document.addEventListener("visibilitychange", () => document.hidden && this.#drafts.flush(), { signal })
    const end = this.#client.drafts.on("news", (news) => this.#drafts.isNews(news, this.#isEmpty) && this.#follow())
    signal.addEventListener("abort", end)
    // Touch keyboards have no Shift+Enter: there Enter makes a new line, and the button sends.
    text.enterKeyHint = isTouch() ? "enter" : "send"
    this.#takeUp()
    this.#parts.send.disabled = false
  }

  disconnect() {
    this.#drafts.disconnect()
    this.#mentions.disconnect()
    this.#listeners.abort()
  }

  // Actions

  /** @returns {string | null} the id of the message that is being edited */
  get editing() {
    return this.#mode.name === "edit" ? this.#mode.message.id : null
  }

  focus() {
    this.#parts.text.focus()
  }

  reply(message) {
    const text = this.#mode.name === "edit" ? this.#parked?.text ?? "" : this.#parts.text.value
    this.#parked = null
    this.#start({ name: "reply", message: about(message) }, text)
    this.#keep()
  }

  edit(message) {
    if (this.#mode.name !== "edit") this.#parked = this.#isEmpty ? null : this.#draft
    this.#start({ name: "edit", message: about(message) }, message.body)
    this.#keep()
  }

  /** Shows when the message that is being replied to was deleted. Replying is still possible. */
  follow(timeline) {
    const { name, message } = this.#mode
    if (name !== "reply" || !timeline.quoted(message.number)?.deletedAt) return
    put(this.#parts["about-excerpt"], (message.excerpt = texts.quotedDeleted))
  }

  // Callbacks

  #onKey(event) {
    // While an input method composes a character, Enter belongs to it. Safari signals this by key code 229 alone.
    if (event.isComposing || event.keyCode === 229) return
    if (this.#mentions.key(event)) return
    const sends = event.ctrlKey || event.metaKey || !(event.shiftKey || isTouch())
    if (event.key === "Enter" && sends) this.#onSubmit(event)
    else if (event.key === "Escape" && this.#mode.name !== "new") this.#cancel()
    else if (event.key === "ArrowUp" && (event.altKey || this.#isEmpty)) {
      event.preventDefault()
      if (event.altKey) this.#toMessages()
      else this.#editLast()
    }
  }

  #onInput() {
    this.#fit()
    this.#say("")
    this.#count()
    this.#mentions.update()
    if (this.#parts.text.value.trim() === "") this.#typing.stopped()
    else if (this.#mode.name !== "edit") this.#typing.typed()
    this.#keep()
  }

  #cancel() {
    // The text of a cancelled reply stays, as a new message.
    this.#finish(this.#mode.name === "reply" ? this.#parts.text.value : "")
    this.#keep()
  }

  async #onSubmit(event) {
    event.preventDefault()
    const { value: body } = this.#parts.text
    const mode = this.#mode
    if (body.trim() === "") {
      // Saving an edit without text means deleting the message.
      if (mode.name === "edit" && (await this.#submit("", mode))) this.#cancel()
      return
    }
    const [count, most] = [lengthOf(body), this.#client.limits.bodyChars]
    if (count > most) return this.#say(texts.tooLong({ most, count }))
    this.#typing.stopped()
    await this.#drafts.send(async (draft) => {
      // Empty the field at once: a fast writer begins the next message before this one is stored.
      this.#finish("")
      try {
        await this.#submit(body, mode, draft)
        return mode.name !== "edit"
      } catch (error) {
        this.#putBack(body, mode, error)
        return false
      }
    })
    this.#keep()
    this.#drafts.flush()
  }

  // Internal

  get #isEmpty() {
    return this.#mode.name === "new" && this.#parts.text.value === ""
  }

  get #draft() {
    return { text: this.#parts.text.value, mode: this.#mode, parked: this.#parked }
  }

  #keep() {
    this.#drafts.keep(this.#draft)
  }

  /** Puts a text back that could not be sent, before whatever was typed since. */
  #putBack(body, mode, error) {
    // If the edited message is gone, its text becomes a new one.
    const again = error.code === "message.not_found" ? NEW : mode
    const since = again.name === "edit" ? "" : this.#parts.text.value
    if (again.name === "edit" && !this.#isEmpty) this.#parked = this.#draft
    this.#start(again, since ? `${body}\n${since}` : body)
    this.#say(sentenceOf(error))
  }

  /** Shows the draft, followed by what was typed before the scripts ran or the draft could be read. */
  async #takeUp() {
    const draft = await this.#drafts.read()
    // The stored draft can't be read, so leave the field as it is.
    if (this.#drafts.isUnread) return
    const typed = this.#parts.text.value // whole: the next line may have begun
    if (draft) this.#show(draft)
    if (typed.trimEnd() === "" || typed.trimEnd() === draft?.text.trimEnd()) return
    if (draft) this.#parts.text.value = draft.text ? `${draft.text}\n${typed}` : typed
    this.#onInput()
  }

  /** Shows the stored draft after another tab has changed or sent it. */
  async #follow() {
    const draft = await this.#drafts.read()
    if (!this.#drafts.isUnread && !this.#drafts.isUnsaved) this.#show(draft ?? { text: "", mode: NEW })
  }

  #show({ text, mode, parked = null }) {
    const hasFocus = document.activeElement === this.#parts.text
    this.#parked = parked
    this.#start(mode, text, hasFocus)
  }

  /** Ends a reply or an edit: shows the draft that it interrupted, or else `value` as a new message. */
  #finish(value) {
    const { text, mode } = this.#parked ?? { text: value, mode: NEW }
    this.#parked = null
    this.#start(mode, text)
  }

  #start(mode, value, takesFocus = true) {
    const { text, about: line, "about-words": words, "about-excerpt": excerpt, send } = this.#parts
    this.#mode = mode
    this.#modeChanged()
    send.textContent = mode.name === "edit" ? texts.save : texts.send
    if (text.value !== value) text.value = value
    line.hidden = mode.name === "new"
    const { author, excerpt: quoted = "" } = mode.message ?? {}
    const isReply = mode.name === "reply"
    put(words, isReply ? texts.replyingTo({ name: author?.name ?? texts.unknownAuthor }) : texts.editing)
    put(excerpt, isReply ? quoted : "")
    this.#say("")
    this.#fit()
    this.#count()
    if (!takesFocus) return
    text.focus()
    text.setSelectionRange(value.length, value.length)
  }

  #count() {
    const { counter, send, text } = this.#parts
    const left = this.#client.limits.bodyChars - lengthOf(text.value)
    counter.hidden = left > NEAR_LIMIT
    counter.textContent = counter.hidden ? "" : left < 0 ? texts.tooLongBy({ count: -left }) : texts.charactersLeft({ count: left })
    // Not `disabled`: the button keeps the focus, and says why when it is pressed.
    send.ariaDisabled = left < 0
  }

  /** Makes the field as high as its text, in browsers without `field-sizing`. */
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

/** The parts of a message that a draft about it has to keep. */
const about = ({ id, number, author, html }) => ({ id, number, author, excerpt: excerptOf(wordsOf(html), config.timeline.quoteChars) })

/** Counts as the server does: code points of the trimmed text, not UTF-16 units. */
const lengthOf = (text) => [...text.trim()].length

const isTouch = () => matchMedia("(hover: none) and (pointer: coarse)").matches
