// The shared examples of tests/wire, as the JavaScript client reads them.

import { Backoff } from "/chat/js/backoff.js"
import { Cursor } from "/chat/js/cursor.js"
import { decode, encode, mayReconnect } from "/chat/js/protocol.js"
import { Timeline } from "/chat/js/timeline.js"
import { FakeClock } from "./fake-clock.js"
import { assert, example, test } from "./runner.js"

for (const { name, frame, types } of (await example("events")).cases) {
  test(`events: ${name}`, () => {
    const events = decode(JSON.stringify(frame))
    assert.equal(events.map(({ type }) => type), types)
    assert.ok(!JSON.stringify(events.filter(({ type }) => type !== "reply" && type !== "notice")).match(/"[a-z]+_[a-z]+":/), "a wire key got inside")
  })
}

test("the session recorded on 2026-11-26 is decoded event by event", async () => {
  for (const { server } of (await example("recorded_session")).session) {
    if (server.length) assert.equal(decode(JSON.stringify(server)).map(({ type }) => type), server.map(({ type }) => type))
  }
})

for (const { name, command, frame } of (await example("commands")).cases) {
  test(`commands: ${name}`, () => {
    const rooms = command.type === "sync" ? { rooms: new Map(Object.entries(command.rooms)) } : {}
    const text = encode({ ...command, ...rooms }, "ref" in frame ? 1 : undefined)
    assert.equal(sorted(JSON.parse(text)), sorted(frame))
    assert.ok(!text.includes("\\u"), "needless escapes make the frame longer")
  })
}

for (const { code, reconnect } of (await example("close_codes")).cases) {
  test(`close code ${code}`, () => assert.equal(mayReconnect(code), reconnect))
}

const backoff = await example("backoff")

test("the back-off doubles from one second to its cap, and is jittered", () => {
  const clock = new FakeClock()
  const tries = new Backoff(clock)
  for (const ceiling of backoff.ceilings_ms) {
    assert.equal(tries.ceilingMs, ceiling)
    assert.ok(tries.nextMs() < ceiling)
  }
})

test("only a connection that stayed live for a while resets the back-off", async () => {
  const clock = new FakeClock()
  const tries = new Backoff(clock)
  for (const [livedMs, ceiling] of [[backoff.steady_ms - 1, 4000], [backoff.steady_ms, 1000]]) {
    tries.nextMs()
    tries.nextMs()
    tries.live()
    await clock.advance(livedMs)
    tries.closed()
    assert.equal(tries.ceilingMs, ceiling)
    while (tries.ceilingMs > 1000) {
      tries.live()
      await clock.advance(backoff.steady_ms)
      tries.closed()
    }
  }
})

const order = await example("order")

for (const { name, steps } of order.cases) {
  test(`order: ${name}`, async () => {
    const clock = new FakeClock()
    clock.random = () => 0
    let applied = []
    let syncs = 0
    const cursor = new Cursor({ clock, apply: ({ seq }) => applied.push(seq), sync: () => (syncs += 1) })
    cursor.reset(order.start)
    for (const [index, step] of steps.entries()) {
      if (step.event) cursor.take({ seq: step.event[0], prev: step.event[1] ?? step.event[0] - 1 })
      if (step.heads) cursor.heard(step.heads)
      if (step.wait_ms) await clock.advance(step.wait_ms)
      if (step.synced) cursor.synced(step.synced)
      if (step.reset) cursor.reset(step.reset)
      if (step.sync_ends) cursor.syncEnded()
      assert.equal({ applied, syncs, seq: cursor.position.seq }, { applied: step.applied, syncs: step.syncs, seq: step.seq }, `step ${index}`)
      applied = []
    }
  })
}

for (const { name, steps, held } of (await example("merging")).cases) {
  test(`merging: ${name}`, () => {
    const timeline = new Timeline()
    const message = ([number, changedSeq]) => ({ number, changedSeq })
    for (const step of steps) {
      if (step.message) timeline.merge(message(step.message))
      else timeline.mergePage({ messages: step.page.map(message), moreBefore: step.more_before, moreAfter: step.more_after })
    }
    assert.equal(timeline.messages.map(({ number, changedSeq }) => [number, changedSeq]), held)
  })
}

const sorted = (object) => Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1))
