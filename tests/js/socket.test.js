import { Socket } from "/chat/js/socket.js"
import { FakeClock } from "./fake-clock.js"
import { fakeTransports } from "./fake-socket.js"
import { assert, test } from "./runner.js"

function arrange(options = {}) {
  const clock = new FakeClock(3)
  const { Transport, opened } = fakeTransports()
  const network = new EventTarget()
  const socket = new Socket({ url: "ws://x/", clock, Transport, network, ...options })
  socket.connect()
  return { clock, opened, network, socket }
}

test("with a session the client waits for its greeting, and asks with a null token when none comes in 2 s", async () => {
  const { clock, opened: [transport] } = arrange()
  transport.onopen()
  await clock.advance(1999)
  assert.equal(transport.sent, [])
  await clock.advance(1)
  assert.equal(transport.sent, [{ type: "auth", ref: 1, token: null }])
})

test("after a greeting in time no auth is sent", async () => {
  const { clock, opened: [transport], socket } = arrange()
  transport.greets()
  await clock.advance(10_000)
  assert.equal([transport.sent, socket.state.name, transport.protocols], [[], "live", ["chat.v1"]])
})

test("a token is sent first; after a refusal a fresh one is tried, once", async () => {
  let count = 0
  const { clock, opened, socket } = arrange({ token: async () => `t${(count += 1)}` })
  opened[0].onopen()
  await clock.advance(0)
  assert.equal(opened[0].sent, [{ type: "auth", ref: 1, token: "t1" }])
  opened[0].onclose({ code: 4501 })
  await clock.advance(1000)
  opened[1].onopen()
  await clock.advance(0)
  assert.equal(opened[1].sent[0].token, "t2")
  opened[1].onclose({ code: 4501 })
  await clock.advance(60_000)
  assert.equal([opened.length, socket.state], [2, { name: "stopped", code: 4501 }])
})

test("a close code from 4500 on stops the client; after any other it reconnects with back-off", async () => {
  const { clock, opened, socket } = arrange()
  opened[0].greets()
  opened[0].onclose({ code: 4008 })
  assert.equal(socket.state.name, "waiting")
  await clock.advance(1000)
  opened[1].greets()
  opened[1].onclose({ code: 4509 })
  await clock.advance(120_000)
  assert.equal([opened.length, socket.state], [2, { name: "stopped", code: 4509 }])
})

test("silence for 2.5 heartbeats means the connection is dead, and what it still says is ignored", async () => {
  const { clock, opened, socket } = arrange()
  const events = []
  socket.on("event", (event) => events.push(event.type))
  opened[0].greets()
  await clock.advance(49_000)
  opened[0].says({ type: "heads", rooms: {}, rooms_version: 1, server_time: "" })
  await clock.advance(49_999)
  assert.equal(socket.state.name, "live")
  await clock.advance(1)
  assert.equal([socket.state.name, opened[0].closedWith], ["waiting", 4001])
  opened[0].says({ type: "heads", rooms: {}, rooms_version: 1, server_time: "" })
  opened[0].onclose({ code: 4501 })
  assert.equal([events, socket.state.name], [["heads"], "waiting"])
})

test("after sleep, a connection that was silent meanwhile is replaced", async () => {
  const { clock, opened, socket } = arrange()
  opened[0].greets()
  socket.retryNow()
  assert.equal([opened.length, socket.state.name], [1, "live"], "one that lives is left alone")
  clock.sleep(3_600_000)
  socket.retryNow()
  assert.equal([opened.length, opened[0].closedWith, socket.state.name], [2, 4001, "connecting"])
})

test("when the network comes back, the client reconnects at once", async () => {
  const { opened, network, clock } = arrange()
  for (let i = 0; i < 4; i += 1) {
    opened.at(-1).onclose({ code: 1006 })
    if (i < 3) await clock.advance(30_000)
  }
  const before = opened.length
  network.dispatchEvent(new Event("online"))
  assert.equal(opened.length, before + 1)
})

test("a request waits for a connection that is being opened, but not for long", async () => {
  const { opened, clock, socket } = arrange()
  const early = socket.request({ type: "ping" })
  opened[0].greets()
  await clock.advance(0)
  assert.equal(opened[0].sent.map(({ type }) => type), ["ping"])
  opened[0].says({ type: "reply", ref: 1, ok: true, result: { ts: 1 } })
  assert.equal(await early, { ts: 1 })
  opened[0].onclose({ code: 1006 })
  await assert.rejects(socket.request({ type: "ping" }), "client.disconnected")
  socket.retryNow()
  const failed = socket.request({ type: "ping" })
  opened[1].onclose({ code: 1006 })
  await assert.rejects(failed, "client.disconnected")
  socket.retryNow()
  const [late, at] = [socket.request({ type: "ping" }).catch(({ code }) => [code, clock.now()]), clock.now()]
  await clock.advance(29_000)
  assert.equal(await late, ["client.disconnected", at + 5_000])
  assert.equal(opened[2].sent, [])
})

test("once the network is back, a connection from before has 3 s to show that it is alive", async () => {
  const { opened, network, clock, socket } = arrange()
  opened[0].greets()
  network.dispatchEvent(new Event("offline"))
  assert.equal([socket.state.name, opened[0].sent], ["live", []], "it may live")
  network.dispatchEvent(new Event("online"))
  assert.equal(opened[0].sent.map(({ type }) => type), ["ping"])
  await clock.advance(2_999)
  opened[0].says({ type: "reply", ref: 1, ok: true, result: { ts: null } })
  await clock.advance(30_000)
  assert.equal([socket.state.name, opened.length], ["live", 1])
  network.dispatchEvent(new Event("online"))
  assert.equal(opened[0].sent.length, 1, "the network was not away")
  network.dispatchEvent(new Event("offline"))
  network.dispatchEvent(new Event("online"))
  await clock.advance(3_000)
  assert.equal([opened[0].closedWith, socket.state.name, opened.length], [4001, "connecting", 2], "at once, without a back-off")
})

test("an attempt that began without a network starts again when there is one", async () => {
  const { opened, network, clock } = arrange()
  network.dispatchEvent(new Event("offline"))
  await clock.advance(1_000)
  network.dispatchEvent(new Event("online"))
  network.dispatchEvent(new Event("online"))
  assert.equal([opened.length, opened[0].closedWith, opened[1].closedWith], [2, 1000, null])
})

test("a draining server is left when it says, and not earlier", async () => {
  const { clock, opened } = arrange()
  opened[0].greets()
  opened[0].says({ type: "drain", reconnect_in_ms: 700 })
  opened[0].onclose({ code: 4012 })
  await clock.advance(699)
  assert.equal(opened.length, 1)
  await clock.advance(1)
  assert.equal(opened.length, 2)
})

test("a draining server that doesn't close is left all the same", async () => {
  const { clock, opened } = arrange()
  opened[0].greets()
  opened[0].says({ type: "drain", reconnect_in_ms: 700 })
  await clock.advance(700)
  assert.equal([opened.length, opened[0].closedWith], [2, 1000])
})

test("replies find their command, and no more are unanswered than the server allows", async () => {
  const { opened: [transport], socket, clock } = arrange()
  transport.greets()
  const answers = [1, 2, 3].map((ts) => socket.request({ type: "ping", ts }))
  assert.equal(transport.sent.map(({ ref }) => ref), [1, 2])
  transport.says({ type: "reply", ref: 2, ok: true, result: { ts: 2 } })
  assert.equal(transport.sent.map(({ ref }) => ref), [1, 2, 3])
  transport.says({ type: "reply", ref: 1, ok: false, error: { code: "rate.limited", message: "Slow.", retry: true, retry_after_ms: 5 } })
  await assert.rejects(answers[0], "rate.limited")
  assert.equal(await answers[1], { ts: 2 })
  await Promise.all([assert.rejects(answers[2], "client.no_reply"), clock.advance(30_000)])
})

const LIMITED = { code: "rate.limited", message: "Slow.", retry: true, retry_after_ms: 700 }
const BEAT = { type: "heads", rooms: {}, rooms_version: 1, server_time: "" }
const refuse = (transport, ...refs) => refs.forEach((ref) => transport.says({ type: "reply", ref, ok: false, error: LIMITED }))
const members = (transport, ref) =>
  transport.says({ type: "reply", ref, ok: true, result: { members: [], more: false, epoch: "e", seq: 1 } })

test("what only reads and is refused for its rate is sent again when the server says so, and a change is not", async () => {
  const { opened: [transport], socket, clock } = arrange()
  transport.greets()
  const change = socket.request({ type: "room.join", room: "1" })
  const page = socket.request({ type: "member.list", room: "1" })
  refuse(transport, 1, 2)
  await assert.rejects(change, "rate.limited")
  await clock.advance(700)
  assert.equal(transport.sent.length, 2)
  await clock.advance(700)
  assert.equal(transport.sent.at(-1), { type: "member.list", ref: 3, room: "1" })
  members(transport, 3)
  assert.equal((await page).members, [])
})

test("after a refusal all reads wait, and go one at a time and in order; syncs and changes pass them", async () => {
  const { opened: [transport], socket, clock } = arrange()
  transport.greets()
  const pages = ["1", "2", "3", "4"].map((room) => socket.request({ type: "member.list", room }).catch(() => {}))
  assert.equal(transport.sent.map(({ room }) => room), ["1", "2"])
  refuse(transport, 1, 2)
  assert.equal(transport.sent.length, 2)
  socket.request({ type: "room.join", room: "9" }).catch(() => {})
  socket.request({ type: "sync", rooms: new Map() }).catch(() => {})
  assert.equal(transport.sent.map(({ type }) => type).slice(2), ["room.join", "sync"])
  for (const ref of [3, 4]) transport.says({ type: "reply", ref, ok: true, result: { rooms: {} } })
  await clock.advance(1400)
  assert.equal(transport.sent.map(({ room }) => room).slice(4), ["1"])
  refuse(transport, 5)
  for (const ref of [6, 7, 8, 9]) {
    await clock.advance(2800)
    assert.equal(transport.sent.at(-1).ref, ref)
    members(transport, ref)
  }
  await Promise.all(pages)
  assert.equal(transport.sent.map(({ room }) => room).slice(4), ["1", "1", "2", "3", "4"])
})

/** How long each next read waits, in steps of 10 ms, when those before were answered so. */
async function pausesAfter(outcomes) {
  const { opened: [transport], socket, clock } = arrange()
  transport.greets()
  for (let left = 9; left; left -= 1) socket.request({ type: "member.list", room: "1" }).catch(() => {})
  refuse(transport, 1, 2)
  const pauses = []
  for (const isAnswered of outcomes) {
    const { length } = transport.sent
    let waited = 0
    for (; transport.sent.length === length; waited += 10) await clock.advance(10)
    pauses.push(waited)
    const { ref } = transport.sent.at(-1)
    if (isAnswered) members(transport, ref)
    else refuse(transport, ref)
  }
  return pauses
}

test("the pause doubles with each refusal, up to 10 s, halves with each answer, and is spread", async () => {
  const grown = await pausesAfter([false, false, false, false, false, false, false])
  for (const [place, least] of [700, 1400, 2800, 5600, 10_000, 10_000, 10_000].entries()) {
    assert.equal([grown[place] >= least, grown[place] <= 2 * least + 10], [true, true])
  }
  assert.equal(new Set(grown.slice(4)).size, 3)
  const shrunk = await pausesAfter([false, true, true, true, true])
  for (const [place, least] of [700, 1400, 700, 350, 175].entries()) {
    assert.equal([shrunk[place] >= least, shrunk[place] <= 2 * least + 10], [true, true])
  }
})

test("a sync that is refused for its rate is sent again, and holds up no other read", async () => {
  const { opened: [transport], socket, clock } = arrange()
  transport.greets()
  const synced = socket.request({ type: "sync", rooms: new Map([["1", null]]) })
  refuse(transport, 1)
  socket.request({ type: "member.list", room: "1" }).catch(() => {})
  assert.equal(transport.sent.at(-1).type, "member.list")
  await clock.advance(1400)
  assert.equal(transport.sent.at(-1), { type: "sync", ref: 3, rooms: { 1: null } })
  transport.says({ type: "reply", ref: 3, ok: true, result: { rooms: { 1: "live" } } })
  assert.equal((await synced).rooms.get("1"), "live")
})

test("a held read that is never answered is given up, and the next goes", async () => {
  const { opened: [transport], socket, clock } = arrange()
  transport.greets()
  const [lost, next] = ["1", "2"].map((room) => socket.request({ type: "member.list", room }))
  refuse(transport, 1, 2)
  await clock.advance(1400)
  clock.after(() => transport.says(BEAT), 20_000)
  await Promise.all([assert.rejects(lost, "client.no_reply"), clock.advance(31_000)])
  assert.equal(transport.sent.at(-1), { type: "member.list", ref: 4, room: "2" })
  members(transport, 4)
  await next
})

test("a new connection waits as the old one was told", async () => {
  const { opened, socket, clock } = arrange()
  opened[0].greets()
  const first = socket.request({ type: "member.list", room: "1" })
  opened[0].says({ type: "reply", ref: 1, ok: false, error: { ...LIMITED, retry_after_ms: 30_000 } })
  opened[0].onclose({ code: 1006 })
  await assert.rejects(first, "client.disconnected")
  await clock.advance(1000)
  opened[1].greets()
  socket.request({ type: "member.list", room: "2" }).catch(() => {})
  assert.equal(opened[1].sent, [])
  clock.after(() => opened[1].says(BEAT), 30_000)
  await clock.advance(59_000)
  assert.equal(opened[1].sent.map(({ room }) => room), ["2"])
})

test("what waits to be asked again ends with the connection", async () => {
  const { opened: [transport], socket } = arrange()
  transport.greets()
  const page = socket.request({ type: "member.list", room: "1" })
  const limited = { code: "rate.limited", message: "Slow.", retry: true, retry_after_ms: 700 }
  transport.says({ type: "reply", ref: 1, ok: false, error: limited })
  transport.onclose({ code: 1006 })
  await assert.rejects(page, "client.disconnected")
})

test("a request that is never answered does not hold up those behind it, and a sync may take longer", async () => {
  const { opened: [transport], socket, clock } = arrange()
  transport.greets()
  const beat = { type: "heads", rooms: {}, rooms_version: 1, server_time: "" }
  const sync = socket.request({ type: "sync", rooms: new Map() })
  const [lost, next] = [1, 2].map((ts) => socket.request({ type: "ping", ts }))
  assert.equal(transport.sent.map(({ ref }) => ref), [1, 2])
  await clock.advance(20_000)
  transport.says(beat)
  await Promise.all([assert.rejects(lost, "client.no_reply"), clock.advance(10_000)])
  assert.equal(transport.sent.map(({ ref }) => ref), [1, 2, 3])
  transport.says({ type: "reply", ref: 3, ok: true, result: { ts: 2 } }, { type: "reply", ref: 1, ok: true, result: { rooms: {} } })
  assert.equal([(await next).ts, (await sync).rooms.size], [2, 0])
})

const COMMANDS = [
  "auth", "ping", "sync", "unsync", "room.list", "room.create", "room.direct", "room.join", "room.leave", "room.update",
  "member.list", "member.add", "member.remove", "member.role", "message.post", "message.edit", "message.delete",
  "reaction.add", "reaction.remove", "history", "read",
]
const REFUSAL = { code: "room.forbidden", message: "No.", retry: false }
const POSTED = { id: "1", number: 1, seq: 1, epoch: "e", created_at: "2026-11-20T09:30:00.000Z", duplicate: false }
const STATE = {
  id: "1", slug: "a", name: "A", kind: "open", topic: "", archived: false, member_count: 1, last_message_at: null, epoch: "e", seq: 1,
  last_number: 1, read: 0, unread: 1, mentions: 0, rev: 0, role: null, notify: "all", online: null,
}
const MESSAGE = {
  id: "1", room: "1", number: 1, seq: 1, changed_seq: 1, author: null, client_id: null, body: "", html: "", kind: "text", reply_to: null,
  attachments: [], reactions: [], mentions: [], created_at: "2026-11-20T09:30:00.000Z", edited_at: null, deleted_at: null,
}
const PAGE = { messages: [MESSAGE], mine: {}, more_before: false, more_after: false, epoch: "e", seq: 1 }

for (const type of COMMANDS) {
  test(`an unusable reply to ${type} ends it with retry, and holds up nothing`, async () => {
    const { opened: [transport], socket } = arrange()
    transport.greets()
    const replies = [{ ok: true }, { ok: true, result: null }, { ok: true, result: "x" }, { ok: true, result: [] }, {}, { ok: "yes", result: {} },
      { ok: false }, { ok: false, error: null }, { ok: false, error: {} }, { ok: false, error: { message: "No.", retry: false } },
      { ok: false, error: { ...REFUSAL, code: "" } }, { ok: false, error: { ...REFUSAL, retry: undefined } }]
    for (const [index, reply] of replies.entries()) {
      const [answer, next] = [socket.request({ type }), socket.request({ type: "ping" })]
      const refs = transport.sent.slice(-2).map(({ ref }) => ref)
      transport.says({ type: "reply", ref: refs[0], ...reply }, { type: "reply", ref: refs[1], ok: true, result: { ts: index } })
      const { code, retry } = await answer.catch((error) => error)
      assert.equal([code, retry, await next], ["server.error", true, { ts: index }], JSON.stringify(reply))
    }
    assert.equal(socket.isLive, true)
  })
}

const WRONG = {
  "message.post": [{}, { ...POSTED, seq: "1" }, { ...POSTED, number: -1 }, { ...POSTED, epoch: null }],
  "sync": [{ rooms: [] }, { rooms: { 1: "gone" } }, { rooms: { 1: null } }],
  "room.list": [{ rooms: {}, more: false }, { rooms: [null], more: false }, { rooms: [{ ...STATE, epoch: undefined }], more: false }, { rooms: [] }],
  "room.join": [{ room: null }, { room: { ...STATE, seq: 1.5 } }, { room: { ...STATE, name: 5 } }],
  "history": [{ ...PAGE, messages: null }, { ...PAGE, messages: [{ ...MESSAGE, created_at: "soon" }] }, { ...PAGE, mine: [] }, { ...PAGE, seq: null },
    { ...PAGE, messages: [{ ...MESSAGE, reactions: [{}] }] }, { ...PAGE, members: {} }, { ...PAGE, quoted: [{}] }],
  "member.list": [{ members: [{ user: null }], more: false, epoch: "e", seq: 1 }],
  "reaction.add": [{ seq: 1 }, { seq: 1, mine: "x" }],
  "message.edit": [{ seq: "1" }],
  "read": [{ read: 1, unread: 0, mentions: 0 }],
}

test("a result of the wrong form for its command is a server.error", async () => {
  const { opened: [transport], socket } = arrange()
  transport.greets()
  for (const [type, results] of Object.entries(WRONG)) for (const result of results) {
    const answer = socket.request({ type, scope: "mine" })
    transport.says({ type: "reply", ref: transport.sent.at(-1).ref, ok: true, result })
    await assert.rejects(answer, "server.error")
  }
  const answer = socket.request({ type: "history" })
  transport.says({ type: "reply", ref: transport.sent.at(-1).ref, ok: true, result: PAGE })
  assert.equal((await answer).messages.length, 1, "the page that the wrong ones were made of is a right one")
})

test("a reply without a usable ref costs the connection, and so ends all requests", async () => {
  const { opened: [transport], socket } = arrange()
  transport.greets()
  const answer = socket.request({ type: "ping" })
  await reported(() => transport.says({ type: "reply", ref: "1", ok: true, result: {} }))
  await assert.rejects(answer, "client.disconnected")
  assert.equal(socket.state.name, "waiting")
})

test("a retry_after_ms that is no wait is ignored, and others are clamped", async () => {
  const { opened: [transport], socket } = arrange()
  transport.greets()
  for (const [told, means] of [[0, null], [-5, null], ["soon", null], [1, 100], [1500, 1500], [1e15, 3_600_000]]) {
    const answer = socket.request({ type: "ping" })
    const error = { code: "rate.limited", message: "Slow.", retry: true, retry_after_ms: told }
    transport.says({ type: "reply", ref: transport.sent.at(-1).ref, ok: false, error })
    assert.equal((await answer.catch((problem) => problem)).retryAfterMs, means)
  }
})

for (const [name, event] of Object.entries({
  "a message without a date": { type: "message.posted", room: "1", seq: 2, message: { ...MESSAGE, created_at: undefined } },
  "a message without a number": { type: "message.posted", room: "1", seq: 2, message: { ...MESSAGE, number: null } },
  "an event without a seq": { type: "message.posted", room: "1", message: MESSAGE },
  "heads that are none": { type: "heads", rooms: { 1: "x" }, rooms_version: 1 },
  "a greeting without a person": { type: "hello", protocol: 1, user: {}, heartbeat_s: 20, limits: {}, rooms: [], rooms_version: 1 },
})) {
  test(`${name} costs the connection, and nothing of it gets in`, async () => {
    const { opened: [transport], socket } = arrange()
    const heard = []
    transport.greets()
    for (const each of ["event", "hello"]) socket.on(each, (what) => heard.push(what))
    await reported(() => transport.says(event))
    assert.equal([heard, socket.state.name], [[], "waiting"])
  })
}

/** Expects `work` to report one error, which would otherwise fail the test file. */
async function reported(work) {
  const told = new Promise((resolve) => addEventListener("error", (event) => { event.preventDefault(); resolve() }, { once: true }))
  work()
  await told
}

const types = ({ sent }) => sent.map(({ type }) => type)

test("a server that hangs is left 15 s after a command that it does not answer", async () => {
  const { opened, clock, socket } = arrange()
  opened[0].greets({ features: ["ping"] })
  const answer = socket.request({ type: "history", room: "1" }).catch(({ code }) => code)
  await clock.advance(9_999)
  assert.equal(types(opened[0]), ["history"])
  await clock.advance(1)
  assert.equal(types(opened[0]), ["history", "ping"])
  await clock.advance(4_999)
  assert.equal(socket.state.name, "live")
  await clock.advance(1)
  assert.equal([socket.state.name, await answer], ["waiting", "client.disconnected"])
})

test("a server that is only slow is waited for, and asked again every 10 s", async () => {
  const { opened, clock, socket } = arrange()
  opened[0].greets({ features: ["ping"] })
  // More than may be unanswered: the ping passes those that wait to be sent.
  for (let count = 0; count < 40; count += 1) socket.request({ type: "history", room: "1" }).catch(() => {})
  for (let asked = 1; asked <= 2; asked += 1) {
    await clock.advance(10_000)
    const { type, ref } = opened[0].sent.at(-1)
    assert.equal([type, types(opened[0]).filter((each) => each === "ping").length], ["ping", asked])
    opened[0].says({ type: "reply", ref, ok: true, result: { ts: null, server_time: "" } })
  }
  await clock.advance(5_000)
  assert.equal([socket.state.name, opened.length], ["live", 1])
})

test("an answered command asks nothing, and a server that does not name pings is not asked", async () => {
  const { opened: [quick], clock, socket } = arrange()
  quick.greets({ features: ["ping"] })
  socket.request({ type: "message.edit", message: "1", body: "" })
  quick.says({ type: "reply", ref: 1, ok: true, result: { seq: 2 } })
  await clock.advance(12_000)
  assert.equal(types(quick), ["message.edit"])
  const { opened: [older], clock: time, socket: other } = arrange()
  older.greets()
  other.request({ type: "message.edit", message: "1", body: "" }).catch(() => {})
  for (let beats = 0; beats < 2; beats += 1) {
    await time.advance(12_000)
    older.says(BEAT)
  }
  assert.equal([types(older), other.state.name], [["message.edit"], "live"])
})

test("requests that are unanswered when the connection closes are rejected", async () => {
  const { opened: [transport], socket } = arrange()
  transport.greets()
  const answer = socket.request({ type: "ping" })
  transport.onclose({ code: 1006 })
  await assert.rejects(answer, "client.disconnected")
  await assert.rejects(socket.request({ type: "ping" }), "client.disconnected")
})

test("received is sent by frames, by time and by size, and not if the server does not want it", async () => {
  const { opened: [transport], clock } = arrange()
  const beat = { type: "heads", rooms: {}, rooms_version: 1, server_time: "" }
  transport.greets({ flow: { frames: 3, seconds: 10 } })
  transport.says(beat)
  assert.equal(transport.sent, [])
  transport.says(beat, beat)
  assert.equal(transport.sent, [{ type: "received", frames: 3 }])
  transport.says(beat)
  await clock.advance(10_000)
  assert.equal(transport.sent.at(-1), { type: "received", frames: 4 })
  transport.says({ ...beat, server_time: "x".repeat(300_000) })
  assert.equal(transport.sent.at(-1), { type: "received", frames: 5 })
  const { opened: [counted] } = arrange()
  counted.greets({ flow: { frames: 100, seconds: 100, bytes: 1000 } })
  counted.says({ ...beat, server_time: "é".repeat(300) })
  assert.equal(counted.sent, [])
  counted.says({ ...beat, server_time: "é".repeat(300) })
  assert.equal(counted.sent, [{ type: "received", frames: 3 }], "bytes are those of UTF-8, as the server counts")
  const quiet = arrange()
  quiet.opened[0].greets()
  for (let i = 0; i < 500; i += 1) quiet.opened[0].says(beat)
  await quiet.clock.advance(15_000)
  assert.equal(quiet.opened[0].sent, [])
})

test("a frame that can't be read costs the connection, not the page", async () => {
  const { opened, clock, socket } = arrange()
  opened[0].greets()
  await reported(() => opened[0].onmessage({ data: "{" }))
  assert.equal(socket.state.name, "waiting")
  await clock.advance(1000)
  assert.equal(opened.length, 2)
})
