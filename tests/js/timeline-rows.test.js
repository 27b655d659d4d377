import { colourOf, excerptOf, initialsOf, rowsOf } from "/chat/js/timeline-rows.js"
import { Timeline } from "/chat/js/timeline.js"
import { withMessage, withRead } from "/chat/js/room-state.js"
import { assert, example, test } from "./runner.js"

const examples = await example("timeline_rows")
const { groupMs, avatarColours, quoteChars } = examples.config
const at = (day, minute) => `2026-11-${day}T10:${String(minute).padStart(2, "0")}:00.000Z`
const message = (number, author, createdAt, more = {}) => ({
  id: `m${number}`, number, changedSeq: number, author: author && { id: author, name: author }, clientId: `c${number}`, replyTo: null,
  createdAt, reactions: [], mentions: [], deletedAt: null, ...more,
})
const dayOf = (iso) => iso.slice(0, 10)

function rows(messages, pending = []) {
  const timeline = new Timeline()
  timeline.mergePage({ messages, moreBefore: messages.length > 0, moreAfter: false })
  return rowsOf({ timeline, pending, me: "ana", mine: new Map(), groupMs, dayOf })
}
const moment = (short) => `2026-11-${short}:00.000Z`

function seen(row) {
  if (row.kind === "day") return ["day", row.day]
  if (row.kind === "unread") return ["unread"]
  if (row.kind === "notice") return [row.by ? `${row.what} by ${row.by.name}` : row.what, ...row.users.map(({ name }) => name)]
  const { own, continues, quoted, mine } = row
  const special = [own && "own", continues && "continues", quoted && `quotes ${quoted.number}`, mine.length && `mine ${mine.join(" ")}`]
  return [row.message.number, special.filter(Boolean).join(" ")]
}

const messageOf = ([number, author, short, { reply_to: quoted } = {}]) =>
  message(number, author, moment(short), { replyTo: quoted ? { id: `m${quoted}`, number: quoted } : null })
const person = (id) => id && { id, name: id }

for (const { name, messages = [], members = [], quoted = [], mine = {}, rows: wanted, ...page } of examples.rows) {
  test(`rows: ${name}`, () => {
    const timeline = new Timeline()
    timeline.mergePage({
      messages: messages.map(messageOf), quoted: quoted.map(messageOf),
      moreBefore: page.more_before ?? false, moreAfter: page.more_after ?? false,
    })
    const made = rowsOf({
      timeline, pending: [], me: "ana", mine: new Map(Object.entries(mine)), groupMs, dayOf, unreadFrom: page.unread_from ?? null,
      members: members.map(([id, joined, left, by = null]) => ({
        user: person(id), joinedAt: moment(joined), leftAt: left && moment(left), by: person(by),
      })),
    })
    assert.equal(made.map(seen), wanted)
    assert.equal(new Set(made.map(({ key }) => key)).size, made.length, "two lines share a key")
  })
}

test("colours, initials and excerpts", () => {
  assert.equal(examples.colours.map(([id]) => [id, colourOf(id, avatarColours)]), examples.colours)
  assert.equal(examples.initials.map(([name]) => [name, initialsOf(name)]), examples.initials)
  assert.equal(examples.excerpts.map(([body]) => [body, excerptOf(body, quoteChars)]), examples.excerpts)
  assert.equal([excerptOf("x".repeat(140), 140).length, excerptOf("👋".repeat(141), 140)], [140, `${"👋".repeat(140)}…`])
})

test("a pending message keeps its key when it becomes a stored one, and is never shown twice", () => {
  const item = { order: 1, clientId: "c2", body: "x", createdAt: at(20, 1), state: "stored", replyTo: null }
  const before = rows([message(1, "ben", at(20, 0))], [item])
  const after = rows([message(1, "ben", at(20, 0)), message(2, "ana", at(20, 1))], [item])
  assert.equal([before.length, after.length, before.at(-1).kind, after.at(-1).kind], [3, 3, "pending", "message"])
  assert.equal(before.at(-1).key, after.at(-1).key)
})

test("somebody else's message with the same client id doesn't hide one's own", () => {
  const item = { order: 1, clientId: "c1", body: "x", createdAt: at(20, 1), state: "queued", replyTo: null }
  assert.equal(rows([message(1, "ben", at(20, 0))], [item]).map(({ kind }) => kind), ["day", "message", "pending"])
})

test("a hole that is being filled is shown as one", () => {
  const timeline = new Timeline()
  timeline.mergePage({ messages: [message(1, "ben", at(20, 0))], moreBefore: false, moreAfter: false })
  timeline.merge(message(4, "ben", at(20, 1)))
  assert.equal(timeline.holes, [{ from: 2, to: 3 }])
  assert.equal(rowsOf({ timeline, pending: [], me: "ana", mine: new Map(), groupMs, dayOf }).map(({ kind }) => kind), ["day", "message", "hole", "message"])
})

test("the unread count follows from the numbers, and older news of the read pointer are ignored", () => {
  const state = { lastNumber: 5, read: 3, unread: 2, mentions: 0, rev: 4 }
  const two = withMessage(withMessage(state, message(6, "ben", at(20, 0), { mentions: ["ana"] }), "ana"), message(6, "ben", at(20, 0)), "ana")
  assert.equal([two.lastNumber, two.unread, two.mentions], [6, 3, 1])
  const read = withRead(two, { read: 6, mentions: 0, rev: 5 })
  assert.equal([read.unread, read.mentions], [0, 0])
  assert.equal(withRead(read, { read: 3, mentions: 1, rev: 4 }), read)
  const own = withMessage(two, message(7, "ana", at(20, 1)), "ana")
  assert.equal([own.read, own.unread, own.mentions], [7, 0, 0])
})
