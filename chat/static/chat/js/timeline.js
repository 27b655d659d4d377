// The part of a room's messages that this page holds, in the order of their numbers. Pure data: no clock, no network.
// Merging follows docs/protocol.md, section 4: of two states of a message the higher changed_seq stands, and what is
// not held comes in only within or after what is loaded up to the newest.

/** @typedef {import("./protocol.js").Message} Message */

export class Timeline {
  /** @type {Map<number, Message>} */
  #byNumber = new Map()
  #numbers = []
  /** Lowest and highest number that is loaded, holes apart; null: nothing was loaded yet. */
  #from = null
  #to = null
  #reachesNewest = false
  /** @type {Map<number, Message | null>} what loaded messages reply to and is not loaded itself; null: not known */
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

  /** @returns {Message | null} what a loaded message replies to, as far as it is known */
  quoted(number) {
    return this.#byNumber.get(number) ?? this.#quoted.get(number) ?? null
  }

  /** @returns {number[]} of quoted messages that have to be asked for */
  get unknown() {
    return [...this.#quoted.keys()].filter((number) => !this.quoted(number))
  }

  find(id) {
    return this.messages.find((message) => message.id === id)
  }

  /** Numbers that must exist between the loaded ends and are not here (yet): they come while catching up. */
  get holes() {
    const holes = []
    let expected = this.#from
    for (const number of this.#numbers) {
      if (number > expected) holes.push({ from: expected, to: number - 1 })
      expected = number + 1
    }
    return holes
  }

  /** @returns {boolean} whether the message now stands, as it came */
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
   * Takes in a page of history. One that doesn't touch what is held replaces it: there is one window, without gaps.
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

  /** @returns {boolean} whether a page of history joins on to what is held */
  touches({ messages }) {
    return !messages.length || (messages.at(-1).number >= this.#from - 1 && messages[0].number <= this.#to + 1)
  }

  /** Lets go of the newest messages past `most`: what comes live is only counted from then on. @returns {Message[]} */
  dropNewest(most) {
    if (this.count <= most) return []
    const dropped = this.#drop(this.#numbers.splice(most))
    this.#to = this.#numbers.at(-1)
    this.#reachesNewest = false
    return dropped
  }

  /** Lets go of the oldest messages past `most`. @returns {Message[]} */
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

  /** Keeps what is quoted now, and nothing else. */
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
