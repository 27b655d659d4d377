import { texts } from "./texts.js"

/** How many people a reaction names at most. */
const MOST = 10

const list = new Intl.ListFormat(document.documentElement.lang || undefined)

/** Names the people behind a reaction when somebody points at it or moves the focus to it. */
export class ReactionNames {
  #room
  #listeners = new AbortController()

  /** @param {() => import("../room.js").Room} room */
  constructor(room) {
    this.#room = room
  }

  connect(host) {
    const { signal } = this.#listeners
    for (const name of ["pointerover", "focusin"]) {
      host.addEventListener(name, ({ target }) => this.#name(target.closest(".reaction")), { signal, passive: true })
    }
  }

  disconnect() {
    this.#listeners.abort()
  }

  async #name(chip) {
    const room = this.#room()
    const number = Number(chip?.closest("[data-number]").dataset.number)
    const reaction = chip && room.timeline.at(number)?.reactions[[...chip.parentElement.children].indexOf(chip)]
    if (!reaction) return
    const { emoji, count, users } = reaction
    const nameOf = (id) => room.members.find(id)?.user.name
    if (!room.members.isLoaded && !users.every(nameOf)) await room.loadMembers().catch(() => {})
    const known = users.map(nameOf).filter(Boolean).slice(0, MOST)
    if (known.length === 0) return
    const names = known.length < count ? texts.andOthers({ names: known.join(", ") }) : list.format(known)
    chip.title = names
    chip.setAttribute("aria-label", texts.reactionBy({ emoji, count, names }))
  }
}
