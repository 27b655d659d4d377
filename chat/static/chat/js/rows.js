// What a timeline shows, line by line: days, messages, holes, and what waits to be sent. Pure data for a view.

const GROUP_MS = 5 * 60_000

/**
 * @typedef {{kind: "day", key: string, day: string}
 *   | {kind: "hole", key: string, from: number, to: number}
 *   | {kind: "message", key: string, message: import("./protocol.js").Message, continues: boolean, own: boolean,
 *      mine: string[], quoted: import("./protocol.js").Message | null}
 *   | {kind: "pending", key: string, item: import("./outbox.js").Item, continues: boolean}} Row
 *   `continues`: by the same person as the line before, soon after it, so the name need not be said again
 */

/**
 * @param {object} options
 * @param {import("./timeline.js").Timeline} options.timeline
 * @param {import("./outbox.js").Item[]} options.pending in the order they will be sent
 * @param {string | null} options.me the user's id
 * @param {Map<string, string[]>} options.mine the user's own reactions, by message id
 * @param {(iso: string) => string} [options.dayOf] the local calendar day of a moment
 * @returns {Row[]}
 */
export function rowsOf({ timeline, pending, me, mine, dayOf = localDay }) {
  const rows = []
  let before = null
  const add = (row, at, author, breaks) => {
    const day = dayOf(at)
    if (day !== before?.day) rows.push({ kind: "day", key: `day:${row.key}`, day })
    const time = Date.parse(at)
    const continues = !breaks && before?.day === day && before.author === author && time - before.time < GROUP_MS
    rows.push({ ...row, continues })
    before = { day, author, time }
  }
  let expected = timeline.from
  const stored = new Set()
  for (const message of timeline.messages) {
    if (message.number > expected) {
      rows.push({ kind: "hole", key: `hole:${expected}`, from: expected, to: message.number - 1 })
      before &&= { ...before, author: undefined }
    }
    expected = message.number + 1
    const own = me !== null && message.author?.id === me
    if (own && message.clientId) stored.add(message.clientId)
    const quoted = message.replyTo ? timeline.at(message.replyTo.number) ?? null : null
    const key = own && message.clientId ? `mine:${message.clientId}` : `message:${message.id}`
    const author = message.author?.id ?? null
    const row = { kind: "message", key, message, own, mine: mine.get(message.id) ?? [], quoted }
    add(row, message.createdAt, author, message.replyTo !== null)
  }
  // The key stays when a pending message becomes a stored one: the view changes it in place, nothing jumps.
  for (const item of pending.filter(({ clientId }) => !stored.has(clientId))) {
    add({ kind: "pending", key: `mine:${item.clientId}`, item }, item.createdAt, me, Boolean(item.replyTo))
  }
  return rows
}

function localDay(iso) {
  const date = new Date(iso)
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-")
}
