// The rows of a timeline, as pure data for a view: days, the unread line, joins and departures, messages, holes, and
// messages that wait to be sent. chat/web/timeline_rows.py makes the same rows for the first paint;
// tests/wire/timeline_rows.json holds the two together.

/** @typedef {import("./protocol.js").User} User */
/**
 * @typedef {{kind: "day", key: string, day: string}
 *   | {kind: "unread", key: string}
 *   | {kind: "notice", key: string, what: "added" | "joined" | "left" | "removed", users: User[], by: User | null}
 *   | {kind: "hole", key: string, from: number, to: number}
 *   | {kind: "message", key: string, message: import("./protocol.js").Message, continues: boolean, own: boolean,
 *      mine: string[], quoted: import("./protocol.js").Message | null}
 *   | {kind: "pending", key: string, item: import("./outbox.js").Item, continues: boolean}} Row
 *   `continues`: by the same person as the row before and soon after it, so the name is not repeated
 */

/**
 * Returns the rows of a timeline, from top to bottom.
 * @param {object} options
 * @param {import("./timeline.js").Timeline} options.timeline
 * @param {import("./outbox.js").Item[]} options.pending in the order in which they will be sent
 * @param {string | null} options.me the user's id
 * @param {Map<string, string[]>} options.mine the user's own reactions, by message id
 * @param {Iterable<import("./protocol.js").Member>} [options.members] those who recently joined or left
 * @param {number | null} [options.unreadFrom] the first message below the unread line
 * @param {number} options.groupMs messages of one person within this time stand under one name
 * @param {(iso: string) => string} [options.dayOf] the local calendar day of a moment
 * @returns {Row[]}
 */
export function rowsOf({ timeline, pending, me, mine, members = [], unreadFrom = null, groupMs, dayOf = localDay }) {
  /** @type {any[]} */
  const rows = []
  // A day may come twice: if a server's clock went back, or the one behind a pending message is slow.
  const days = new Set()
  let before = null
  const startDay = (at) => {
    const day = dayOf(at)
    if (day !== before?.day) rows.push({ kind: "day", key: days.has(day) ? `day:${day}:${rows.length}` : `day:${day}`, day })
    days.add(day)
    return day
  }
  const add = (row, at, author, breaks) => {
    const day = startDay(at)
    if (unreadFrom !== null && row.message?.number >= unreadFrom) {
      rows.push({ kind: "unread", key: "unread" })
      unreadFrom = null
      breaks = true
    }
    const time = Date.parse(at)
    const continues = !breaks && before?.day === day && before.author === author && time - before.time < groupMs
    rows.push({ ...row, continues })
    before = { day, author, time }
  }
  const addNotice = ({ what, user, by, at }) => {
    const day = startDay(at)
    const last = rows.at(-1)
    if (last?.kind === "notice" && last.what === what && last.by?.id === by?.id) last.users.push(user)
    else rows.push({ kind: "notice", key: `notice:${what}:${user.id}`, what, users: [user], by })
    before = { day }
  }
  const messages = timeline.messages
  const notices = noticesOf(members, timeline, messages)
  let expected = timeline.from
  // There is no line if a message before the loaded part may be the first unread one.
  if (expected !== null && unreadFrom < expected) unreadFrom = null
  const stored = new Set()
  for (const message of messages) {
    while (notices.length && isBefore(notices[0], message.createdAt)) addNotice(notices.shift())
    if (message.number > expected) {
      rows.push({ kind: "hole", key: `hole:${expected}`, from: expected, to: message.number - 1 })
      if (before) before = { day: before.day }
    }
    expected = message.number + 1
    const own = me !== null && message.author?.id === me
    if (own && message.clientId) stored.add(message.clientId)
    const quoted = message.replyTo && timeline.quoted(message.replyTo.number)
    const key = own && message.clientId ? `mine:${message.clientId}` : `message:${message.id}`
    const author = message.author?.id ?? null
    const row = { kind: "message", key, message, own, mine: mine.get(message.id) ?? [], quoted }
    add(row, message.createdAt, author, message.replyTo !== null)
  }
  notices.forEach(addNotice)
  // A pending message keeps its key when it is stored: the view replaces it in place, and nothing jumps.
  for (const item of pending.filter(({ clientId }) => !stored.has(clientId))) {
    add({ kind: "pending", key: `mine:${item.clientId}`, item }, item.createdAt, me, Boolean(item.replyTo))
  }
  return rows
}

/** Returns the joins and departures within the loaded span of time, in order. */
function noticesOf(members, { isLoaded, hasOlder, reachesNewest }, messages) {
  if (!isLoaded) return []
  const first = hasOlder && messages.length ? messages[0].createdAt : ""
  const last = reachesNewest || !messages.length ? "~" : messages.at(-1).createdAt
  return [...members]
    .flatMap(({ user, joinedAt, leftAt, by = null }) => [
      // `by` is only known for the latest change.
      leftAt || !by ? { at: joinedAt, what: "joined", user, by: null } : { at: joinedAt, what: "added", user, by },
      ...(leftAt ? [{ at: leftAt, what: by ? "removed" : "left", user, by }] : []),
    ])
    .filter(({ at }) => at >= first && at <= last)
    .map((notice) => ({ ...notice, order: `${notice.at} ${notice.what} ${notice.user.id}` }))
    .sort((a, b) => (a.order < b.order ? -1 : 1))
}

/** Whether a notice goes above a message of `moment`. At the very same time, a join does and a departure does not. */
const isBefore = ({ at, what }, moment) => at < moment || (at === moment && what < "left")

/** Returns the number of a person's avatar colour, from 1 to `colours`. */
export function colourOf(userId, colours) {
  let hash = 0
  for (const character of userId) hash = (hash * 31 + character.codePointAt(0)) % 65_536
  return 1 + (hash % colours)
}

/** Returns the letters for the avatar of a person without a picture. */
export function initialsOf(name) {
  const words = name.trim().split(/\s+/).filter(Boolean)
  if (!words.length) return "?"
  return [words[0], ...(words.length > 1 ? [words.at(-1)] : [])].map(([first]) => first.toUpperCase()).join("")
}

/** Returns the first `most` characters of a quoted message, in one line. */
export function excerptOf(body, most) {
  const characters = [...body.trim().replace(/\s+/g, " ")]
  return characters.length > most ? `${characters.slice(0, most).join("")}…` : characters.join("")
}

function localDay(iso) {
  const date = new Date(iso)
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-")
}
