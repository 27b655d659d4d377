// The part of a room's messages that this page holds, with the person's own reactions, and how it grows: by events as they
// come, by pages of history as somebody asks (docs/protocol.md, section 4, "Merging").

import { History } from "./history.js"
import { Timeline } from "./timeline.js"

/** So many messages are held at most; what is further from the reader is loaded again when it is wanted. */
const MOST_HELD = 1_000
/** And so many more before some are let go, so that this is not done for each one that comes. */
const SLACK = 100

export class Conversation {
  timeline = new Timeline()
  /** @type {Map<string, string[]>} own reactions by message id, as far as known */
  mine = new Map()
  /** @type {Map<string, import("./protocol.js").Member>} who came or went lately, by user id */
  comings = new Map()
  #history
  #quotes
  /** Numbers of quoted messages that were asked for on this connection, whatever the answer was. */
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

  /** A message as an event or a catch-up brings it. `mine`: one's own reactions, where it says so. */
  take(message, mine) {
    this.#history.keep(message, mine)
    this.#merge(message, mine)
  }

  /** Somebody came or went. */
  takeMember(member) {
    const known = this.comings.get(member.user.id)
    if (!known || momentOf(known) <= momentOf(member)) this.comings.set(member.user.id, member)
  }

  /** A page that did not come over this connection. */
  adopt(page) {
    this.#mergePage(page)
  }

  // Loading. `cursor` says where the room stands now. One page at a time: while one is under way, older and newer ones
  // are not asked for. Each resolves like History and throws what the request threw.

  /** @param {() => boolean} isFollowed whether somebody has gone to the newest messages meanwhile */
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

  /** Goes where message `number` is, null: to the newest, whatever else was being loaded. */
  async seek(number, cursor) {
    if (number === null ? this.timeline.reachesNewest : this.timeline.at(number)) return "merged"
    this.#history.abandon()
    const outcome = await this.#load(number === null ? {} : { around: number }, cursor)
    const { from, to } = this.timeline
    if (outcome === "merged") this.#drop(number === null || number - from >= to - number)
    return outcome
  }

  /**
   * Asks for what is quoted and not known, one message at a time.
   * @param {() => void} changed called for each answer
   */
  async loadQuotes(cursor, changed) {
    const number = this.timeline.unknown.find((each) => !this.#asked.has(each))
    if (!number || this.#quotes.isUnderWay) return
    this.#asked.add(number)
    const merge = ({ messages }) => messages.forEach((message) => this.#merge(message))
    // Refused, it is asked for again on the next connection; until then the quote has the message's number.
    const outcome = await this.#quotes.load({ around: number, limit: 1 }, cursor, merge).catch(() => "failed")
    if (outcome === "abandoned" || outcome === "epoch") return
    changed()
    await this.loadQuotes(cursor, changed)
  }

  /** Lets go of what is too much, at the end where nobody reads. */
  bound(isFollowed) {
    if (this.timeline.count > MOST_HELD + SLACK) this.#drop(isFollowed)
  }

  /** The page that is under way will not come, or shows a state that is void. */
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
      // The end that it was to join on to was let go of meanwhile: nobody reads there any more.
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

  /** A live event is the same for everybody: one's own are among the first 50 people, or as known before. */
  #ownReactions({ id, reactions }) {
    const known = this.mine.get(id) ?? []
    return reactions
      .filter(({ emoji, users, count }) => users.includes(this.#me) || (users.length < count && known.includes(emoji)))
      .map(({ emoji }) => emoji)
  }
}

const momentOf = ({ joinedAt, leftAt }) => leftAt ?? joinedAt
