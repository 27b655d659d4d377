import { Room } from "/chat/js/room.js"
import { FakeClock, settle } from "./fake-clock.js"
import { assert, test } from "./runner.js"

const time = (number) => new Date(1_700_000_000_000 + number * 1000).toISOString()
const message = (number, changedSeq = number) => ({
  id: `m${number}`, room: "1", number, seq: number, changedSeq, author: { id: "ben", name: "ben" }, clientId: `c${number}`, body: "",
  html: "", replyTo: null, reactions: [], mentions: [], createdAt: time(number), editedAt: null, deletedAt: null,
})
const range = (first, last) => Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => message(first + index))
const state = (last, more = {}) => ({
  id: "1", epoch: "e", seq: last, lastNumber: last, read: last, unread: 0, mentions: 0, rev: 1, role: "member", kind: "open", ...more,
})
const page = (first, last, head) => ({
  messages: range(first, last), mine: new Map(), members: [], moreBefore: first > 1, moreAfter: last < head, epoch: "e", seq: head,
})

/** A room of `head` messages on a server that answers at once, 100 messages a page. */
function arrange(head, first = page(head - 49, head, head), more = {}) {
  const asked = []
  const server = { head }
  const history = ({ before, after, around }) => {
    if (after) return page(after + 1, Math.min(server.head, after + 100), server.head)
    if (around) return page(Math.max(1, around - 49), Math.min(server.head, around + 50), server.head)
    const top = before ?? server.head + 1
    return page(Math.max(1, top - 100), top - 1, server.head)
  }
  const request = async ({ type, room: _room, ...fields }) => {
    asked.push(type === "read" ? ["read", fields.number] : Object.entries(fields).flat())
    return type === "read" ? { read: fields.number, unread: 0, mentions: 0, rev: 9 } : history(fields)
  }
  let syncs = 0
  const room = new Room({ id: "1", me: "ana", clock: new FakeClock(), request, sync: () => (syncs += 1), manyUnread: 40 })
  if (first) room.adoptFirst({ state: state(head, more), history: first })
  room.open()
  room.connected(state(head, more))
  room.syncEnded("live")
  return { room, asked, server, syncs: () => syncs }
}

const post = (room, server) => {
  server.head += 1
  room.handle({ type: "message.posted", room: "1", seq: server.head, prev: server.head - 1, message: message(server.head) })
}
const look = (first, last, isEnd = false) => ({ first, last, isEnd })
const window_ = ({ timeline }) => [timeline.from, timeline.to, timeline.count, timeline.reachesNewest]

test("messages embedded in the page are not requested again; the first sync starts where they end", async () => {
  const { room, asked, server, syncs } = arrange(200)
  await settle()
  assert.equal([asked, syncs(), room.cursor], [[], 1, { epoch: "e", seq: 200, run: undefined }])
  post(room, server)
  assert.equal(window_(room), [151, 201, 51, true])
})

test("embedded messages that are older than what is known are ignored", async () => {
  const { room } = arrange(200)
  room.adoptFirst({ state: state(100), history: page(51, 100, 100) })
  assert.equal(window_(room), [151, 200, 50, true])
})

test("without embedded messages the newest ones are loaded, or those around the first of many unread", async () => {
  const newest = arrange(500, null)
  const unread = arrange(500, null, { read: 200, unread: 300 })
  await settle()
  assert.equal([newest.asked, unread.asked], [[[]], [["around", 201]]])
  assert.equal([newest.room.unreadFrom, unread.room.unreadFrom], [null, 201])
})

test("after a jump into the past, live messages are counted and not inserted", async () => {
  const { room, server, asked } = arrange(3000)
  await room.seek(500)
  post(room, server)
  assert.equal([window_(room), room.unseen], [[451, 550, 100, false], 1])
  await room.loadNewer()
  assert.equal(window_(room), [451, 650, 200, false])
  await room.seek(null)
  assert.equal([window_(room), asked.length], [[2902, 3001, 100, true], 3])
  await room.seek(3000)
  assert.equal(asked.length, 3, "what is here is not asked for")
})

test("where there is nothing more to load, asking for it changes nothing", async () => {
  const { room, asked } = arrange(50)
  await settle()
  let changes = 0
  room.on("change", () => (changes += 1))
  await Promise.all([room.loadOlder(), room.loadNewer()])
  assert.equal([changes, asked], [0, []], "a page that asks at each draw would draw for ever")
})

test("however far the reader scrolls, a bounded part stays loaded around them, without gaps", async () => {
  const { room } = arrange(3000)
  room.isFollowed = false
  for (let step = 0; step < 15; step += 1) await room.loadOlder()
  assert.equal(window_(room), [1451, 2450, 1000, false])
  for (let step = 0; step < 30; step += 1) await room.loadNewer()
  assert.equal(window_(room), [2001, 3000, 1000, true])
  assert.equal(room.timeline.holes, [])
})

test("a flood of messages pushes out the oldest ones, or stays out while somebody reads further up", async () => {
  for (const [isFollowed, wanted] of [[true, [252, 1251, 1000, true]], [false, [151, 1150, 1000, false]]]) {
    const { room, server } = arrange(200)
    room.isFollowed = isFollowed
    for (let count = 0; count < 1051; count += 1) post(room, server)
    assert.equal([window_(room), room.timeline.holes], [wanted, []])
  }
})

test("a jump doesn't wait for a page that is under way, and that page doesn't come in afterwards", async () => {
  const { room } = arrange(3000)
  const older = room.loadOlder()
  await room.seek(100)
  await older
  assert.equal(window_(room), [51, 150, 100, false])
})

test("nothing is kept of a room that the person lost", async () => {
  const { room } = arrange(200)
  room.syncEnded("denied")
  assert.equal([room.timeline.isLoaded, room.access], [false, "denied"])
  const other = arrange(200).room
  other.removed()
  assert.equal([other.timeline.isLoaded, other.access], [false, "removed"])
})

test("what was seen is told only by a member, and only while connected", async () => {
  const { room, asked } = arrange(200, page(151, 200, 200), { read: 160, unread: 40 })
  room.saw(look(151, 170))
  assert.equal(asked, [["read", 170]])
  const watcher = arrange(200, page(151, 200, 200), { role: null, read: 160 })
  watcher.room.saw(look(151, 170))
  room.disconnected()
  room.saw(look(161, 180))
  assert.equal([asked.length, watcher.asked.length], [1, 0])
})

test("being put among unread messages further down reads none of them; asking for the newest reads all", async () => {
  const { room, asked } = arrange(200, page(101, 200, 200), { read: 0, unread: 200 })
  await room.seek(195)
  room.readPointer.leap()
  room.saw(look(190, 200, true))
  assert.equal([asked, room.unseen, room.readPointer.isAhead], [[], 200, true])
  await room.seek(null)
  room.saw(look(190, 200, true))
  assert.equal([asked, room.unseen, room.readPointer.isAhead], [[["read", 200]], 0, false])
})

test("each join and departure is counted once", async () => {
  const { room } = arrange(200, undefined, { memberCount: 2 })
  const cleo = (seq, leftAt = null) => ({ user: { id: "cleo", name: "cleo" }, role: "member", joinedAt: time(seq), leftAt })
  const coming = (type, seq, memberCount, leftAt = null, prev = seq - 1) =>
    room.handle({ type, room: "1", seq, prev, by: null, memberCount, member: cleo(seq, leftAt) })
  coming("member.joined", 201, 3)
  coming("member.joined", 201, 3)
  assert.equal(room.state.memberCount, 3)
  room.adopt(state(203, { memberCount: 2 }))
  coming("member.changed", 202, 3)
  assert.equal(room.state.memberCount, 2, "what was read later counts it already")
  coming("member.left", 203, 2, time(203))
  // A member who came and went meanwhile comes as one event, in their present state.
  coming("member.left", 206, 2, time(206), 203)
  coming("member.joined", 209, 3, null, 206)
  assert.equal(room.state.memberCount, 3)
  room.handle({ type: "changes", room: "1", epoch: "e", messages: [], mine: new Map(), members: [cleo(212)], state: { id: "1", name: "", kind: "open", memberCount: 7 } })
  assert.equal(room.state.memberCount, 7)
})

test("a direct room keeps the name that it has for this person", () => {
  const { room } = arrange(200, undefined, { name: "Ben", kind: "direct", memberCount: 2 })
  room.handle({ type: "room.changed", room: "1", seq: 201, prev: 200, state: { id: "1", name: "", kind: "direct", memberCount: 1 } })
  assert.equal([room.state.name, room.state.memberCount], ["Ben", 1])
})

test("no page is requested of a room that the person may not follow", async () => {
  const { room, asked } = arrange(200)
  room.disconnected()
  room.connected(null)
  room.syncEnded("denied")
  await settle()
  assert.equal([asked, room.access], [[], "denied"])
})

/** A room on a server whose pages of history come when the test says so. */
function held(head, first) {
  const [waiting, asked, clock] = [[], [], new FakeClock()]
  const request = (command) => new Promise((resolve) => waiting.push(resolve) && asked.push(command))
  const room = new Room({ id: "1", me: "ana", clock, sync: () => {}, request })
  room.adoptFirst({ state: state(head), history: first })
  room.open()
  room.connected(state(head))
  room.syncEnded("live")
  return { room, asked, clock, server: { head }, answer: async (result) => (waiting.shift()(result), await settle()) }
}

test("a page of history that no longer touches the loaded part does not replace it", async () => {
  const { room, server, answer } = held(2090, page(1001, 2090, 2090))
  room.loadOlder()
  for (let count = 0; count < 20; count += 1) post(room, server)
  assert.equal(window_(room), [1102, 2110, 1009, true], "the reader has gone to the newest, the oldest were let go of")
  await answer(page(901, 1000, 2090))
  assert.equal(window_(room), [1111, 2110, 1000, true])
})

test("a reader who has gone to the newest messages keeps them when a page of history comes late", async () => {
  const { room, answer } = held(2050, page(1001, 2050, 2050))
  room.isFollowed = false
  room.loadOlder()
  room.isFollowed = true
  await answer(page(901, 1000, 2050))
  assert.equal([room.timeline.to, room.timeline.reachesNewest], [2050, true])
})

test("a room that starts over is read from its first unread message on, and counts what is seen from there", async () => {
  const { room, asked } = arrange(500)
  await settle()
  room.handle({ type: "reset", room: "1", epoch: "f", seq: 400, reason: "epoch", state: state(400, { epoch: "f", read: 100, unread: 300, rev: 0 }) })
  assert.equal([asked, room.unreadFrom], [[["around", 101]], 101])
  room.saw(look(101, 150))
  assert.equal(asked.at(-1), ["read", 150])
})

test("what a page of another run brings is not merged: it is asked for again", async () => {
  const { room, answer, asked, clock } = held(300, { ...page(151, 300, 300), run: "r1" })
  room.loadOlder()
  await answer({ ...page(51, 150, 301), run: "r2" })
  assert.equal([asked.length, room.timeline.from], [1, 151])
  await clock.advance(1000)
  room.handle({ type: "message.posted", room: "1", seq: 301, prev: 300, run: "r2", message: message(301) })
  await answer({ ...page(51, 150, 301), run: "r2" })
  assert.equal([asked.length, room.timeline.from], [2, 51])
})

test("a page of what the database has lost is never shown, though nothing has been written since", async () => {
  const { room, answer, asked, clock } = held(300, { ...page(151, 300, 300), run: "r1" })
  room.seek(1)
  await answer({ ...page(1, 50, 301), run: "r1" })
  assert.equal([asked.length, room.timeline.from], [1, 151])
  await clock.advance(1000)
  // The seq is given out again, in another run.
  room.handle({ type: "message.posted", room: "1", seq: 301, prev: 300, run: "r2", message: message(301) })
  await clock.advance(1000)
  assert.equal([asked.length, room.timeline.from], [2, 151])
  await answer({ ...page(1, 50, 301), run: "r2" })
  assert.equal(room.timeline.from, 1)
})

test("a page ahead of the events is merged once they have come as far, and asked for again if they do not", async () => {
  const { room, answer, asked, clock } = held(300, { ...page(151, 300, 300), run: "r1" })
  room.loadOlder()
  await answer({ ...page(51, 150, 301), run: "r1" })
  assert.equal([asked.length, room.timeline.from, room.isLoading], [1, 151, true])
  room.handle({ type: "message.posted", room: "1", seq: 301, prev: 300, message: message(301) })
  await clock.advance(100)
  assert.equal([asked.length, room.timeline.from, room.isLoading], [1, 51, false])
  room.loadOlder()
  await answer({ ...page(1, 50, 309), run: "r1" })
  await clock.advance(4_900)
  assert.equal(asked.length, 2)
  await clock.advance(1_000)
  assert.equal([asked.length, room.timeline.from], [3, 51])
  await answer({ ...page(1, 50, 301), run: "r1" })
  assert.equal(room.timeline.from, 1)
})

test("members of a page ahead of the events are not shown before these have come as far", async () => {
  const { room, answer, clock } = held(300, { ...page(151, 300, 300), run: "r1" })
  const loaded = room.loadMembers()
  const member = { user: { id: "ben", name: "ben" }, role: "member", joinedAt: time(1), leftAt: null }
  await answer({ members: [member], more: false, epoch: "e", seq: 301, run: "r1" })
  assert.equal(room.members.present.length, 0)
  room.handle({ type: "message.posted", room: "1", seq: 301, prev: 300, message: message(301) })
  await clock.advance(100)
  await loaded
  assert.equal(room.members.present.length, 1)
})

test("until a reading has come whole, the room is synced from before it", async () => {
  const { room } = held(300, page(151, 300, 300))
  const start = room.cursor
  const read = (seq, prev, upto) => room.handle({ type: "message.posted", room: "1", seq, prev, upto, message: message(seq) })
  read(303, 300, 305)
  read(304, 303, 305)
  assert.equal([room.cursor.seq, room.syncFrom], [304, start])
  room.disconnected()
  assert.equal(room.syncFrom, start)
  read(305, 304, null)
  assert.equal([room.cursor.seq, room.syncFrom.seq], [305, 305])
  read(306, 305, 308)
  room.handle({ type: "synced", room: "1", epoch: "e", seq: 308 })
  assert.equal([room.cursor.seq, room.syncFrom.seq], [308, 308])
})

test("an event that begins a run at or before what was applied asks the server", async () => {
  const { room, syncs } = arrange(200, { ...page(151, 200, 200), run: "r1" })
  room.handle({ type: "message.posted", room: "1", seq: 199, prev: 198, message: message(199) })
  assert.equal(syncs(), 1)
  room.handle({ type: "message.posted", room: "1", seq: 199, prev: 198, run: "r2", message: message(199) })
  assert.equal(syncs(), 2)
})

test("own reactions to dropped messages are dropped too", async () => {
  const { room, server } = arrange(200)
  for (let count = 0; count < 3000; count += 1) post(room, server)
  assert.equal(room.mine.size, room.timeline.count)
})

test("messages that come while nobody is looking get below the unread line; others do not", async () => {
  const { room, server } = arrange(200)
  await settle()
  post(room, server)
  room.saw(look(190, 201))
  assert.equal(room.unreadFrom, null)
  room.isLookedAt = false
  post(room, server)
  post(room, server)
  assert.equal([room.unreadFrom, room.unseen], [202, 2])
  room.isLookedAt = true
  room.saw(look(191, 203))
  post(room, server)
  assert.equal([room.unreadFrom, room.unseen], [202, 1])
})
