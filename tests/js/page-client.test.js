import { systemClock } from "/chat/js/clock.js"
import { ModelServer } from "./model-server.js"
import { assert, test } from "./runner.js"

/** The client of a page whose config is this, and the histories that it asks the server for. */
async function clientOf(timeline) {
  const server = new ModelServer(systemClock)
  server.isCalm = true
  for (let i = 1; i <= 60; i += 1) server.post("ben", `c${i}`, `m${i}`)
  const asked = []
  const Transport = server.transportOf("ana")
  globalThis.WebSocket = /** @type {any} */ (class extends Transport {
    send(frame) {
      const command = JSON.parse(frame)
      if (command.type === "history") asked.push(command)
      super.send(frame)
    }
  })
  const limits = { frameBytes: 65536, bodyChars: 10_000, syncRooms: 500, history: 100, catchUp: 1_000, unanswered: 32 }
  const config = { socket: "/ws/chat/", user: { id: "ana", name: "ana" }, limits, timeline, urls: {}, texts: {} }
  const script = Object.assign(document.createElement("script"), { id: "chat-config", type: "application/json" })
  script.textContent = JSON.stringify(config)
  document.head.append(script)
  const { pageClient } = await import("/chat/js/ui/page-client.js")
  return { client: pageClient(), asked }
}

test("a page's rooms go by the config: with more unread than it says, they open at the first of it", async () => {
  const { client, asked } = await clientOf({ manyUnread: 40 })
  await client.start()
  const room = client.rooms.get("1")
  room.open()
  await new Promise((done) => room.on("change", () => room.timeline.isLoaded && done()))
  client.stop()
  assert.equal(asked.map(({ around }) => around ?? null), [1])
})
