// Whatever the network does, in the end each client shows the room as it is, and what was written is stored once, in
// order. Each seed is one schedule of loss, repeats, delays, cuts, crashes and restored backups.

import { ChatClient } from "/chat/js/client.js"
import { MemoryStore } from "/chat/js/memory-store.js"
import { FakeClock } from "./fake-clock.js"
import { ModelServer } from "./model-server.js"
import { assert, test } from "./runner.js"

const SEEDS = 1_000
const STEPS = 50

/** A single tab, which always sends. */
class Alone {
  leads = true
  on() {}
  start() {}
  stop() {}
  tell() {}
  claim() {}
}

class Person {
  written = []
  #name
  #server
  #clock
  #store = new MemoryStore()

  constructor(name, server, clock) {
    this.#name = name
    this.#server = server
    this.#clock = clock
  }

  async openPage() {
    this.client = new ChatClient({
      url: "ws://model/ws/", user: { id: this.#name, name: this.#name }, clock: this.#clock, store: async () => this.#store,
      Transport: this.#server.transportOf(this.#name), network: new EventTarget(), tabs: new Alone(),
    })
    await this.client.start()
    this.room.open()
  }

  get room() {
    return this.client.rooms.get("1")
  }

  async write(body) {
    this.written.push(body)
    await this.client.post("1", body)
  }
}

async function live(seed) {
  const clock = new FakeClock(seed)
  const server = new ModelServer(clock)
  const people = [new Person("ana", server, clock), new Person("ben", server, clock)]
  for (const each of people) await each.openPage()
  const oneOf = (items) => items[Math.floor(clock.random() * items.length)]
  let count = 0
  const surprises = []
  const step = {
    write: () => oneOf(people).write(`text ${(count += 1)}`),
    writeMore: async () => { for (let i = 0; i < 5; i += 1) await oneOf(people).write(`text ${(count += 1)}`) },
    refused: () => oneOf(people).client.post("1", `bad ${count}`),
    bot: () => { for (let i = 0; i < 12; i += 1) server.post("bot", `bot-${(count += 1)}`, "beep") },
    edit: () => server.messages.length && server.edit(oneOf(server.messages), `edited ${(count += 1)}`),
    older: () => void oneOf(people).room.loadOlder().catch((error) => surprises.push(...(error.retry ? [] : [error.code]))),
    crash: () => server.crash(),
    down: () => { server.isUp = !server.isUp; if (!server.isUp) server.crash() },
    restore: () => clock.random() < 0.2 && server.restore(),
    run: () => server.beginRun(),
    lose: async () => {
      const lose = server.mayLose()
      for (let i = 0; i < 3; i += 1) server.post("bot", `bot-${(count += 1)}`, "beep")
      await clock.advance(clock.random() * 3000)
      lose()
    },
    reload: async () => { const each = oneOf(people); each.client.stop(); await each.openPage() },
    beat: () => server.beat(),
  }
  const names = [...Object.keys(step), "write", "write", "writeMore", "beat", "older", "edit", "edit"]
  for (let i = 0; i < STEPS; i += 1) {
    await step[oneOf(names)]()
    await clock.advance(clock.random() * 1500)
  }
  server.isCalm = true
  server.isUp = true
  for (let i = 0; i < 30; i += 1) {
    server.beat()
    await clock.advance(4000)
  }
  assert.equal(surprises, [], `seed ${seed}`)
  return { server, people }
}

const wire = ({ number, body, changedSeq, changed_seq }) => [number, body, changedSeq ?? changed_seq]

test(`${SEEDS} schedules of faults end with every client showing the room as it is`, async () => {
  const faults = {}
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const { server, people } = await live(seed)
    for (const { client, room, written } of people) {
      const why = `seed ${seed}, ${client.user.id}`
      assert.equal(client.connection.name, "live", why)
      const held = room.timeline.messages.map(wire)
      assert.ok(room.timeline.isLoaded && room.timeline.reachesNewest, `${why}: nothing was loaded`)
      assert.equal(held, server.messages.slice(room.timeline.from - 1).map(wire), why)
      assert.equal(room.timeline.holes, [], why)
      assert.equal(room.state.lastNumber, server.messages.length, why)
      const stored = server.messages.filter(({ author }) => author.id === client.user.id)
      assert.equal(new Set(stored.map((each) => each.client_id)).size, stored.length, why)
      // Edits change bodies, so only the bodies of messages that were not edited are compared.
      assert.equal(stored.map((each) => (each.edited_at ? null : each.body)), written.map((body, i) => (stored[i]?.edited_at ? null : body)), why)
      assert.equal(client.pending("1").filter(({ state }) => state !== "failed"), [], why)
      client.stop()
    }
    for (const [name, times] of Object.entries(server.faults)) faults[name] = (faults[name] ?? 0) + times
  }
  for (const [name, times] of Object.entries(faults)) assert.ok(times > SEEDS / 4, `only ${times} × ${name}: the test proves little`)
})
