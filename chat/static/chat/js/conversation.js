// The part of a room's messages that this page holds, with the person's own reactions. Events extend it, and so do
// pages of history when somebody asks for them (docs/protocol.md, section 4, "Merging").

import { History } from "./history.js"
import { Timeline } from "./timeline.js"

/** How many messages to hold. Those further from the reader are dropped, and loaded again when needed. */
const MOST_HELD = 1_000
/** How many more may come before some are dropped, so that not every new message causes a drop. */
const SLACK = 100

export class Conversation {
  timeline = new Timeline()
  /** @type {Map<string, string[]>} the person's own reactions by message id, as far as known */
  mine = new Map()
  /** @type {Map<string, import("./protocol.js").Member>} members who recently joined or left, by user id */
  comings = new Map()
  #history
  #quotes
  /** Numbers of the quoted messages already requested on this connection, whatever the answer was. */
  #asked = new Set()
  #me

  /**
   * @param {object} options
   * @param {string} options.room id
   * @param {string} options.me the user's id
   * @param {(command: object) => Promise<any>} options.request
   * @param {import("./clock.js").Clock} options.clock
   */
  constructor({ room, me, request, clock }) {
    this.#me = me
    this.#history = new History({ room, request, clock })
    this.#quotes = new History({ room, request, clock })
  }

  get isLoading() {
    return this.#history.isUnderWay
  }

  /** Merges a message from an event or a catch-up. `mine`: the person's own reactions, if it names them. */
  take(message, mine) {
    this.#history.keep(message, mine)
    this.#merge(message, mine)
  }

  /** Records that somebody joined or left. */
  takeMember(member) {
    const known = this.comings.get(member.user.id)
    if (!known || momentOf(known) <= momentOf(member)) this.comings.set(member.user.id, member)
  }

  /** Merges a page of history that did not come over this connection. */
  adopt(page) {
    this.#mergePage(page)
  }

  // Loading. `cursor` returns the room's current cursor. One page loads at a time: while one is under way, `loadOlder`
  // and `loadNewer` request nothing. They and `seek` resolve as History.load does, and reject as it does.

  /** @param {() => boolean} isFollowed whether the reader has gone to the newest messages meanwhile */
  async loadOlder(cursor, isFollowed) {
    if (!this.timeline.hasOlder) return "abandoned"
    const outcome = await this.#load({ before: this.timeline.from }, cursor)
    if (outcome === "merged") this.#drop(isFollowed())
    return outcome
  }

  async loadNewer(cursor) {
    if (!this.timeline.isLoaded || this.timeline.reachesNewest) return "abandoned"
    const outcome = await this.#load({ after: this.timeline.to }, cursor)
    if (outcome === "merged") this.#drop(true)
    return outcome
  }

  /** Loads the messages around `number`, or for null the newest ones, and abandons any other page under way. */
  async seek(number, cursor) {
    if (number === null ? this.timeline.reachesNewest : this.timeline.at(number)) return "merged"
    this.#history.abandon()
    const outcome = await this.#load(number === null ? {} : { around: number }, cursor)
    const { from, to } = this.timeline
    if (outcome === "merged") this.#drop(number === null || number - from >= to - number)
    return outcome
  }

  /**
   * Loads quoted messages that are not known yet, one at a time.
   * @param {() => void} changed called after each answer
   */
  async loadQuotes(cursor, changed) {
    const number = this.timeline.unknown.find((each) => !this.#asked.has(each))
    if (!number || this.#quotes.isUnderWay) return
    this.#asked.add(number)
    const merge = ({ messages }) => messages.forEach((message) => this.#merge(message))
    // A refused request is repeated on the next connection; until then the quote shows the message's number.
    const outcome = await this.#quotes.load({ around: number, limit: 1 }, cursor, merge).catch(() => "failed")
    if (outcome === "abandoned" || outcome === "epoch") return
    changed()
    await this.loadQuotes(cursor, changed)
  }

  /** Drops the excess at the end where nobody is reading. */
  bound(isFollowed) {
    if (this.timeline.count > MOST_HELD + SLACK) this.#drop(isFollowed)
  }

  /** Ignores the pages under way: they will not come, or show a state that is void. */
  abandonLoading() {
    this.#history.abandon()
    this.#quotes.abandon()
    this.#asked.clear()
  }

  clear() {
    this.abandonLoading()
    this.timeline.clear()
    this.mine.clear()
    this.comings.clear()
  }

  #drop(atOldEnd) {
    const dropped = atOldEnd ? this.timeline.dropOldest(MOST_HELD) : this.timeline.dropNewest(MOST_HELD)
    dropped.forEach(({ id }) => this.mine.delete(id))
  }

  #load(which, cursor) {
    const widens = Boolean(which.before ?? which.after)
    return this.#history.load(which, cursor, (page, kept) => {
      // Skip a page that no longer touches the loaded part: that end was dropped meanwhile, so nobody reads there.
      if (!widens || this.timeline.touches(page)) this.#mergePage(page)
      kept.forEach(([message, mine]) => this.#merge(message, mine))
    })
  }

  #mergePage(page) {
    this.timeline.mergePage(page)
    const asHeld = page.messages.filter((each) => this.timeline.at(each.number).changedSeq === each.changedSeq)
    asHeld.forEach(({ id }) => this.mine.set(id, page.mine.get(id) ?? []))
    page.members?.forEach((member) => this.takeMember(member))
  }

  #merge(message, mine) {
    if (!this.timeline.merge(message)) return
    this.mine.set(message.id, mine ?? this.#ownReactions(message))
  }

  /** Events are the same for everybody. Own reactions show in `users`, the first 50 people, or stay as known before. */
  #ownReactions({ id, reactions }) {
    const known = this.mine.get(id) ?? []
    return reactions
      .filter(({ emoji, users, count }) => users.includes(this.#me) || (users.length < count && known.includes(emoji)))
      .map(({ emoji }) => emoji)
  }
}

const momentOf = ({ joinedAt, leftAt }) => leftAt ?? joinedAt
