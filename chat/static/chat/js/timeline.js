// The part of a room's messages that this page holds, in the order of their numbers. Pure data: no clock, no network.
// Merging follows docs/protocol.md, section 4: of two states of a message the one with the higher changed_seq stands. A
// new message is inserted only within the loaded part, or after it if that reaches the newest.

/** @typedef {import("./protocol.js").Message} Message */

export class Timeline {
  /** @type {Map<number, Message>} */
  #byNumber = new Map()
  #numbers = []
  /** The lowest and the highest loaded number, between which there may be holes; null: nothing is loaded. */
  #from = null
  #to = null
  #reachesNewest = false
  /** @type {Map<number, Message | null>} quoted messages that are not loaded themselves; null: not known */
  #quoted = new Map()

  get isLoaded() {
    return this.#from !== null
  }

  get isEmpty() {
    return this.#numbers.length === 0
  }

  get from() {
    return this.#from
  }

  get to() {
    return this.#to
  }

  get reachesNewest() {
    return this.#reachesNewest
  }

  get count() {
    return this.#numbers.length
  }

  get hasOlder() {
    return this.#from !== null && this.#from > 1
  }

  /** @returns {Message[]} in order */
  get messages() {
    return this.#numbers.map((number) => this.#byNumber.get(number))
  }

  /** @returns {Message | undefined} */
  at(number) {
    return this.#byNumber.get(number)
  }

  /** @returns {Message | null} the message that a loaded one replies to, if it is known */
  quoted(number) {
    return this.#byNumber.get(number) ?? this.#quoted.get(number) ?? null
  }

  /** @returns {number[]} the numbers of quoted messages that have to be requested */
  get unknown() {
    return [...this.#quoted.keys()].filter((number) => !this.quoted(number))
  }

  find(id) {
    return this.messages.find((message) => message.id === id)
  }

  /** The ranges of numbers that must exist between the loaded ends and are not here yet: catching up brings them. */
  get holes() {
    const holes = []
    let expected = this.#from
    for (const number of this.#numbers) {
      if (number > expected) holes.push({ from: expected, to: number - 1 })
      expected = number + 1
    }
    return holes
  }

  /** Merges a message. @returns {boolean} false if it is no newer than the one held, or outside the loaded part */
  merge(message) {
    if (this.#quoted.has(message.number)) this.#quote(message)
    const held = this.#byNumber.get(message.number)
    if (held ? held.changedSeq >= message.changedSeq : !this.#takes(message.number)) return false
    if (!held) this.#insert(message.number)
    this.#byNumber.set(message.number, message)
    this.#want(message)
    return true
  }

  /**
   * Merges a page of history. One that does not touch the loaded part replaces it, so that no gap arises.
   * @param {{messages: Message[], quoted?: Message[], moreBefore: boolean, moreAfter: boolean}} page oldest first
   */
  mergePage({ messages, quoted = [], moreBefore, moreAfter }) {
    if (messages.length) this.#widen(moreBefore ? messages[0].number : 1, messages.at(-1).number)
    else if (!this.isLoaded) this.#widen(1, 0)
    this.#reachesNewest ||= !moreAfter
    messages.forEach((message) => this.merge(message))
    this.#settle()
    quoted.forEach((message) => this.merge(message))
  }

  /** @returns {boolean} whether a page of history overlaps the loaded part or adjoins it */
  touches({ messages }) {
    return !messages.length || (messages.at(-1).number >= this.#from - 1 && messages[0].number <= this.#to + 1)
  }

  /** Drops the newest messages past `most`: live ones are only counted from then on. @returns {Message[]} */
  dropNewest(most) {
    if (this.count <= most) return []
    const dropped = this.#drop(this.#numbers.splice(most))
    this.#to = this.#numbers.at(-1)
    this.#reachesNewest = false
    return dropped
  }

  /** Drops the oldest messages past `most`. @returns {Message[]} */
  dropOldest(most) {
    if (this.count <= most) return []
    const dropped = this.#drop(this.#numbers.splice(0, this.count - most))
    this.#from = this.#numbers[0]
    return dropped
  }

  clear() {
    this.#byNumber.clear()
    this.#numbers = []
    this.#quoted.clear()
    this.#from = this.#to = null
    this.#reachesNewest = false
  }

  #widen(first, last) {
    if (this.isLoaded && (last < this.#from - 1 || first > this.#to + 1)) this.clear()
    this.#from = Math.min(this.#from ?? first, first)
    this.#to = Math.max(this.#to ?? last, last)
  }

  #drop(numbers) {
    const messages = numbers.map((number) => this.#byNumber.get(number))
    numbers.forEach((number) => this.#byNumber.delete(number))
    messages.forEach((message) => this.#quote(message))
    this.#settle()
    return messages
  }

  #quote(message) {
    if (!(this.#quoted.get(message.number)?.changedSeq > message.changedSeq)) this.#quoted.set(message.number, message)
  }

  #want({ replyTo }) {
    if (replyTo && !this.quoted(replyTo.number)) this.#quoted.set(replyTo.number, null)
  }

  /** Forgets messages that no loaded one quotes any more. */
  #settle() {
    const known = this.#quoted
    this.#quoted = new Map()
    for (const { replyTo } of this.messages) {
      if (replyTo && !this.#byNumber.has(replyTo.number)) this.#quoted.set(replyTo.number, known.get(replyTo.number) ?? null)
    }
  }

  #takes(number) {
    return this.isLoaded && number >= this.#from && (this.#reachesNewest || number <= this.#to)
  }

  #insert(number) {
    let place = this.#numbers.length
    while (place > 0 && this.#numbers[place - 1] > number) place -= 1
    this.#numbers.splice(place, 0, number)
    this.#to = Math.max(this.#to, number)
  }
}
