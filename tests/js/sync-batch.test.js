import { SyncBatch } from "/chat/js/sync-batch.js"
import { settle } from "./fake-clock.js"
import { assert, test } from "./runner.js"

function arrange() {
  const sent = []
  const state = { isLive: true }
  const request = ({ rooms }) => new Promise((resolve, reject) => {
    const answer = (result) => resolve({ rooms: new Map([...rooms.keys()].map((id) => [id, result])) })
    sent.push({ rooms: [...rooms.keys()], answer, reject })
  })
  const batch = new SyncBatch({ request, isLive: () => state.isLive, most: () => 2 })
  const room = (id) => {
    const ended = []
    return { id, ended, syncFrom: null, syncEnded: (result) => ended.push(result) }
  }
  return { batch, room, sent, state }
}

test("rooms that ask together share a command, up to as many as it may name", async () => {
  const { batch, room, sent } = arrange()
  const rooms = ["1", "2", "3"].map(room)
  rooms.forEach((each) => batch.ask(each))
  await settle()
  assert.equal(sent.map((each) => each.rooms), [["1", "2"], ["3"]])
  sent[0].answer("live")
  sent[1].reject(new Error("busy"))
  await settle()
  assert.equal(rooms.map(({ ended }) => ended), [["live"], ["live"], [null]])
})

test("a room is never synced twice at once: what it asks meanwhile comes after", async () => {
  const { batch, room, sent } = arrange()
  const one = room("1")
  batch.ask(one)
  await settle()
  batch.ask(one)
  batch.ask(one)
  await settle()
  assert.equal(sent.length, 1)
  sent[0].answer("denied")
  await settle()
  assert.equal([sent.length, one.ended], [2, []], "the first answer is of before")
  sent[1].answer("live")
  await settle()
  assert.equal([sent.length, one.ended], [2, ["live"]])
})

test("a sync that was under way on a lost connection counts for nothing on the next one", async () => {
  const { batch, room, sent } = arrange()
  const one = room("1")
  batch.ask(one)
  await settle()
  sent[0].reject(new Error("gone"))
  batch.clear()
  batch.ask(one)
  await settle()
  assert.equal([sent.length, one.ended], [2, []])
  sent[1].answer("live")
  await settle()
  assert.equal(one.ended, ["live"])
})
