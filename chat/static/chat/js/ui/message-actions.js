// The actions on a message: from its menu, by a key, or on a reaction.

import { mayModerate, mayWrite } from "../room-state.js"
import { copy } from "./clipboard.js"
import { alertAbout, attempt, confirm, say } from "./dialogs.js"
import { MessageMenu } from "./message-menu.js"
import { messageUrl } from "./page-config.js"
import { ReactionNames } from "./reaction-names.js"
import { texts } from "./texts.js"

export class MessageActions {
  #client
  #room
  #composer
  #pauseReading
  #menu = new MessageMenu()
  #names

  /**
   * @param {object} options
   * @param {import("../client.js").ChatClient} options.client
   * @param {() => import("../room.js").Room} options.room
   * @param {import("./composer.js").Composer} options.composer
   * @param {() => void} options.pauseReading keeps messages marked unread from being read, as they are on the screen
   */
  constructor({ client, room, composer, pauseReading }) {
    this.#client = client
    this.#room = room
    this.#composer = composer
    this.#pauseReading = pauseReading
    this.#names = new ReactionNames(room)
  }

  // Lifecycle

  connect(host) {
    this.#menu.connect(host)
    this.#names.connect(host)
  }

  disconnect() {
    this.#menu.disconnect()
    this.#names.disconnect()
  }

  // Actions

  /** @param {object} message @param {HTMLElement} opener the menu opens next to it */
  openMenu(message, opener) {
    const react = this.#mayWrite && ((emoji) => this.react(message, emoji, true))
    const tryEmoji = (emoji) => this.#client.react(this.#room().id, message.id, emoji, true)
    this.#menu.open(opener, { react, tryEmoji, choices: this.#choices(message) })
  }

  /**
   * Does what a key stands for with the focused message.
   * @param {"reply" | "edit" | "remove" | "react" | "copyLink" | "markUnread"} name
   */
  shortcut(name, message, opener) {
    if (name === "react" && this.#mayWrite && message.deletedAt === null) this.openMenu(message, opener)
    else this.#choices(message).find((each) => each.name === name)?.work()
  }

  react(message, emoji, isOn) {
    return attempt(this.#client.react(this.#room().id, message.id, emoji, isOn))
  }

  editLast() {
    const own = this.#room().timeline.messages.findLast((message) => this.#isOwn(message) && message.deletedAt === null)
    if (own) this.#composer.edit(own)
  }

  /** Asks, then deletes a message. @returns {Promise<boolean>} whether it was deleted */
  async remove(message) {
    return (await confirm(texts.confirmRemove, texts.remove)) && attempt(this.#client.delete(message.id))
  }

  // Internal

  /** @returns {{name: string, label: string, work: () => void}[]} what is possible now, in the menu's order */
  #choices(message) {
    const { role } = this.#room().state ?? {}
    const [mayWrite, isOwn, isThere] = [this.#mayWrite, this.#isOwn(message), message.deletedAt === null]
    const mayRemove = (isOwn && mayWrite) || mayModerate(this.#room().state)
    /** @type {[string, boolean, () => void][]} */
    const choices = [
      ["reply", mayWrite && isThere, () => this.#composer.reply(message)],
      ["edit", mayWrite && isOwn && isThere, () => this.#composer.edit(message)],
      ["copyText", isThere, () => this.#copy(message.body, texts.textCopied)],
      ["copyLink", true, () => this.#copy(linkTo(message), texts.linkCopied)],
      ["markUnread", Boolean(role), () => this.#markUnread(message)],
      ["remove", mayRemove && isThere, () => this.remove(message)],
    ]
    return choices.filter(([, isPossible]) => isPossible).map(([name, , work]) => ({ name, label: texts[name], work }))
  }

  async #copy(text, sentence) {
    if (await copy(text)) say(sentence)
    else alertAbout(texts.copyFailed)
  }

  async #markUnread({ room, number }) {
    this.#pauseReading()
    if (await attempt(this.#client.markRead(room, number - 1, true))) say(texts.markedUnread)
  }

  get #mayWrite() {
    return mayWrite(this.#room().state)
  }

  #isOwn(message) {
    return message.author?.id === this.#client.user.id
  }
}

const linkTo = ({ room, number }) => new URL(messageUrl(room, number), location.href).href
