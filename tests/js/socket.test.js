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

test("a greeting in time means that nothing is asked", async () => {
  const { clock, opened: [transport], socket } = arrange()
  transport.greets()
  await clock.advance(10_000)
  assert.equal([transport.sent, socket.state.name, transport.protocols], [[], "live", ["chat.v1"]])
})

test("a token goes first; a refused one is asked for again, once", async () => {
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

test("a code from 4500 on ends it, any other brings it back after its back-off", async () => {
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

test("who comes back from sleep has no connection that was silent meanwhile", async () => {
  const { clock, opened, socket } = arrange()
  opened[0].greets()
  socket.retryNow()
  assert.equal([opened.length, socket.state.name], [1, "live"], "one that lives is left alone")
  clock.sleep(3_600_000)
  socket.retryNow()
  assert.equal([opened.length, opened[0].closedWith, socket.state.name], [2, 4001, "connecting"])
})

test("when the network comes back it doesn't wait", async () => {
  const { opened, network, clock } = arrange()
  for (let i = 0; i < 4; i += 1) {
    opened.at(-1).onclose({ code: 1006 })
    if (i < 3) await clock.advance(30_000)
  }
  const before = opened.length
  network.dispatchEvent(new Event("online"))
  assert.equal(opened.length, before + 1)
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

test("what is never answered doesn't hold up what waits behind it, and a sync may take its time", async () => {
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

test("what is unanswered when the connection goes has an unknown outcome", async () => {
  const { opened: [transport], socket } = arrange()
  transport.greets()
  const answer = socket.request({ type: "ping" })
  transport.onclose({ code: 1006 })
  await assert.rejects(answer, "client.disconnected")
  await assert.rejects(socket.request({ type: "ping" }), "client.disconnected")
})

test("received is sent by frames, by time and by size, and not where it is not wanted", async () => {
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
  const quiet = arrange()
  quiet.opened[0].greets()
  for (let i = 0; i < 500; i += 1) quiet.opened[0].says(beat)
  await quiet.clock.advance(15_000)
  assert.equal(quiet.opened[0].sent, [])
})

test("a frame that can't be read costs the connection, not the page", async () => {
  const { opened, clock, socket } = arrange()
  opened[0].greets()
  const reported = new Promise((resolve) => addEventListener("error", (event) => { event.preventDefault(); resolve() }, { once: true }))
  opened[0].onmessage({ data: "{" })
  await reported
  assert.equal(socket.state.name, "waiting")
  await clock.advance(1000)
  assert.equal(opened.length, 2)
})
