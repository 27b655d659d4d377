import { sectionsOf } from "/chat/js/room-sections.js"
import { assert, example, test } from "./runner.js"

test("a person's rooms are sorted as on the server", async () => {
  for (const { name, rooms, sections } of (await example("sections")).cases) {
    const states = rooms.map(({ last_message_at: lastMessageAt, ...room }) => ({ ...room, lastMessageAt }))
    const ids = Object.entries(sectionsOf(states)).map(([part, found]) => [part, found.map(({ id }) => id)])
    assert.equal(Object.fromEntries(ids), sections, name)
  }
})
