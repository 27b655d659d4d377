import { ChatClient } from "/chat/js/client.js"
import { MemoryStore } from "/chat/js/memory-store.js"
import { FakeClock, settle } from "./fake-clock.js"
import { fakeTransports } from "./fake-socket.js"
import { assert, test } from "./runner.js"

function arrange() {
  const clock = new FakeClock(3)
  const { Transport, opened } = fakeTransports()
  const client = new ChatClient({
    url: "ws://x/", user: { id: "1", name: "ana" }, clock, Transport, network: new EventTarget(),
    store: async () => new MemoryStore(),
  })
  void client.start()
  return { client, clock, opened }
}

const told = (transport) => transport.sent.filter(({ type }) => type === "presence.set").map(({ status }) => status)

test("a page knows who is connected as it was told last, and nothing without a connection", async () => {
  const { client, opened: [transport] } = arrange()
  let changes = 0
  client.presence.on("change", () => (changes += 1))
  transport.greets({ features: ["presence"] })
  assert.equal([client.presence.statusOf("2"), client.presence.online("7")], ["unknown", null])
  transport.says({ type: "presence", users: { 2: "online", 3: "offline" }, online: { 7: 2 } })
  transport.says({ type: "presence", users: { 2: "away" } })
  assert.equal(["2", "3"].map((each) => client.presence.statusOf(each)), ["away", "offline"])
  assert.equal([client.presence.online("7"), changes], [2, 2])
  transport.says({ type: "presence", users: {}, online: { 7: null } })
  assert.equal(client.presence.online("7"), null)
  transport.onclose({ code: 1006 })
  assert.equal([client.presence.statusOf("2"), changes], ["unknown", 4])
  client.stop()
})

test("away is told to a server that knows it, once, and again on a new connection", async () => {
  const { client, clock, opened } = arrange()
  client.setAway(true)
  opened[0].greets({ features: ["presence"] })
  await settle()
  client.setAway(true)
  assert.equal(told(opened[0]), ["away"])
  opened[0].onclose({ code: 1006 })
  await clock.advance(5_000)
  opened[1].greets({ features: ["presence"] })
  client.setAway(false)
  assert.equal(told(opened[1]), ["away", "online"])
  opened[1].onclose({ code: 1006 })
  await clock.advance(5_000)
  opened[2].greets()
  client.setAway(true)
  assert.equal(told(opened[2]), [])
  client.stop()
})
