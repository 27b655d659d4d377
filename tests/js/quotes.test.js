// Quoted messages that are not loaded themselves: known from pages of history, changed by events, requested once.

import { Room } from "/chat/js/room.js"
import { Timeline } from "/chat/js/timeline.js"
import { FakeClock, settle } from "./fake-clock.js"
import { assert, test } from "./runner.js"

const message = (number, more = {}) => ({
  id: `m${number}`, room: "1", number, seq: number, changedSeq: number, author: { id: "ben", name: "ben" }, clientId: `c${number}`,
  body: "", html: `was ${number}`, replyTo: null, reactions: [], mentions: [], createdAt: new Date(1e12 + number).toISOString(),
  editedAt: null, deletedAt: null, ...more,
})
const reply = (number, to) => message(number, { replyTo: { id: `m${to}`, number: to } })
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => message(first + index))
const words = (timeline, ...numbers) => numbers.map((number) => timeline.quoted(number)?.html ?? null)

function timelineOf(messages, quoted = []) {
  const timeline = new Timeline()
  timeline.mergePage({ messages, quoted, moreBefore: true, moreAfter: false })
  return timeline
}

test("the quoted messages of a page are not part of the timeline, and of two states the later one stands", () => {
  const timeline = timelineOf([reply(50, 3), reply(51, 50), reply(52, 7)], [message(3)])
  assert.equal([words(timeline, 3, 50, 7), timeline.count, timeline.unknown], [["was 3", "was 50", null], 3, [7]])
  timeline.merge(message(3, { changedSeq: 60, html: "edited" }))
  timeline.merge(message(3, { changedSeq: 55, html: "older" }))
  timeline.merge(message(4, { changedSeq: 61, html: "nobody quotes it" }))
  assert.equal([words(timeline, 3, 4), timeline.at(3), timeline.from], [["edited", null], undefined, 50])
  timeline.mergePage({ messages: range(1, 49), quoted: [], moreBefore: false, moreAfter: true })
  assert.equal([words(timeline, 3, 7), timeline.unknown], [["was 3", "was 7"], []], "an older state came with the page")
})

test("a page does not bring back an older state of a quoted message", () => {
  const timeline = timelineOf([reply(50, 3)], [message(3, { changedSeq: 60, html: "edited" })])
  timeline.mergePage({ messages: [reply(49, 3)], quoted: [message(3)], moreBefore: true, moreAfter: true })
  assert.equal(words(timeline, 3), ["edited"])
})

test("a dropped message stays as a quote while a loaded message quotes it, and no longer", () => {
  const timeline = timelineOf([...range(50, 57), reply(58, 51), reply(59, 3), reply(60, 58)], [message(3)])
  timeline.dropOldest(3)
  assert.equal([timeline.from, words(timeline, 50, 51, 3, 58)], [58, [null, "was 51", "was 3", "was 58"]])
  timeline.merge(message(51, { changedSeq: 70, html: "", deletedAt: "now" }))
  assert.equal(timeline.quoted(51).deletedAt, "now")
  timeline.dropOldest(1)
  assert.equal([words(timeline, 51, 3, 58), timeline.unknown], [[null, null, "was 58"], []])
  timeline.mergePage({ messages: range(900, 901), quoted: [], moreBefore: true, moreAfter: false })
  assert.equal(words(timeline, 58), [null], "another window quotes other things")
})

/** A room with message 100, on a server that answers `around` requests when the test says so. */
function arrange() {
  const [asked, waiting] = [[], []]
  const request = ({ around }) => {
    asked.push(around)
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
  }
  const state = { id: "1", epoch: "e", seq: 100, lastNumber: 100, read: 100, unread: 0, mentions: 0, rev: 1, role: "member", kind: "open" }
  const page = (...messages) => ({ messages, mine: new Map(), members: [], moreBefore: true, moreAfter: false, epoch: "e", seq: 100 })
  const room = new Room({ id: "1", me: "ana", clock: new FakeClock(), request, sync: () => {} })
  room.adoptFirst({ state, history: page(message(100)) })
  const connect = () => {
    room.connected(state)
    room.syncEnded("live")
  }
  let head = 100
  return {
    room, asked, connect,
    live: (each, type = "message.posted") => (head += 1, room.handle({ type, room: "1", seq: head, prev: head - 1, message: { ...each, changedSeq: head } })),
    answer: async (number) => (waiting.shift().resolve({ ...page(message(number)), seq: head }), await settle()),
    refuse: async () => (waiting.shift().reject(Object.assign(new Error("no"), { retry: false })), await settle()),
  }
}

test("messages that live replies quote are requested once, one at a time, even when one is refused", async () => {
  const { room, asked, connect, live, answer, refuse } = arrange()
  connect()
  let drawn = 0
  for (const [number, to] of [[101, 5], [102, 5], [103, 6], [104, 7], [105, 100]]) live(reply(number, to))
  room.on("change", () => (drawn += 1))
  assert.equal(asked, [5])
  await answer(5)
  assert.equal([asked, drawn, words(room.timeline, 5)], [[5, 6], 1, ["was 5"]])
  await refuse()
  await answer(7)
  live(reply(106, 6))
  assert.equal([asked, words(room.timeline, 5, 6, 7)], [[5, 6, 7], ["was 5", null, "was 7"]])
  assert.equal([room.timeline.count, room.mine.has("m5"), room.isLoading], [7, false, false])
  room.disconnected()
  connect()
  assert.equal(asked, [5, 6, 7, 6], "another connection is another chance")
})

test("a change to a quoted message stands against an older answer to the request for it", async () => {
  const { room, connect, live, answer } = arrange()
  connect()
  live(reply(101, 5))
  live(message(5, { html: "edited" }), "message.changed")
  await answer(5)
  assert.equal(words(room.timeline, 5), ["edited"])
})

test("quoted messages are not requested without a connection, nor kept after the room was lost", async () => {
  const { room, asked, connect, live } = arrange()
  live(reply(101, 5))
  assert.equal(asked, [])
  connect()
  assert.equal(asked, [5])
  room.removed()
  assert.equal([words(room.timeline, 5), room.timeline.unknown], [[null], []])
})
