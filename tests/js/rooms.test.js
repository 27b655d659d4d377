import { Rooms } from "/chat/js/rooms.js"
import { FakeClock, settle } from "./fake-clock.js"
import { assert, test } from "./runner.js"

const state = (id) => ({
  id, epoch: "e", seq: 1, lastNumber: 1, read: 1, unread: 0, mentions: 0, rev: 1, role: "member", kind: "open", name: id,
})

/** A list of rooms that was greeted with version 4 and these rooms. `answer` answers the oldest `room.list`. */
function arrange(...ids) {
  const waiting = []
  const request = ({ type }) => new Promise((resolve) => type === "room.list" && waiting.push(resolve))
  const rooms = new Rooms({ me: "ana", clock: new FakeClock(), request, sync: () => {}, manyUnread: 40 })
  rooms.greeted({ rooms: ids.map(state), roomsVersion: 4, more: false })
  return {
    rooms, waiting,
    ids: () => rooms.list.map(({ id }) => id).sort(),
    answer: async (...listed) => (waiting.shift()({ rooms: listed.map(state), more: false }), await settle()),
  }
}
const added = (id, roomsVersion) => ({ type: "room.added", state: state(id), roomsVersion })
const removed = (room, roomsVersion) => ({ type: "room.removed", room, roomsVersion })
const heads = (roomsVersion) => ({ type: "heads", rooms: new Map(), roomsVersion })

test("a room whose `room.added` was lost is found by the next heartbeat, although a later one came", async () => {
  const { rooms, waiting, ids, answer } = arrange("1")
  rooms.handle(added("3", 6))
  rooms.handle(heads(6))
  assert.equal(waiting.length, 1)
  await answer("1", "2", "3")
  rooms.handle(heads(6))
  assert.equal([ids(), waiting.length], [["1", "2", "3"], 0])
})

test("a late `room.removed` does not undo a later `room.added`", () => {
  const { rooms, ids } = arrange("1")
  rooms.handle(removed("1", 5))
  rooms.handle(added("1", 6))
  rooms.handle(removed("1", 5))
  assert.equal(ids(), ["1"])
})

test("a room that comes while the list is read stays, and the list is read again", async () => {
  const { rooms, waiting, ids, answer } = arrange("1")
  rooms.handle(heads(5))
  rooms.handle(added("2", 5))
  rooms.handle(added("3", 6))
  await answer("1", "2")
  assert.equal(ids(), ["1", "2", "3"])
  rooms.handle(added("4", 8))
  rooms.handle(heads(8))
  assert.equal(waiting.length, 1)
})

test("a room that is lost without a membership is gone although the version stays", () => {
  const { rooms, ids } = arrange("1", "2")
  rooms.handle(removed("1", 4))
  assert.equal(ids(), ["2"])
})
