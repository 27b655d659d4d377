import { Reading } from "/chat/js/reading.js"
import { ChatError } from "/chat/js/protocol.js"
import { FakeClock, settle } from "./fake-clock.js"
import { assert, test } from "./runner.js"

const at = (read, rev) => ({ read, rev, role: "member", unread: 0 })

function arrange() {
  const clock = new FakeClock()
  const told = []
  let answer = () => Promise.resolve()
  const reading = new Reading({ clock, tell: (number) => (told.push(number), answer()) })
  reading.follow(null, at(10, 1))
  return { clock, told, reading, answers: (with_) => (answer = with_) }
}

test("what is seen is told at most once a second, the highest number of it, and never what is read already", async () => {
  const { clock, told, reading } = arrange()
  for (const number of [9, 10, 11, 12, 15, 14]) reading.saw(number)
  assert.equal(told, [11])
  await clock.advance(999)
  assert.equal(told, [11])
  await clock.advance(1)
  assert.equal(told, [11, 15])
  await clock.advance(5000)
  reading.saw(15)
  reading.saw(16)
  assert.equal(told, [11, 15, 16])
})

test("what was seen within the last second is told when the page goes", async () => {
  const { clock, told, reading } = arrange()
  reading.saw(11)
  reading.saw(14)
  assert.equal(told, [11])
  reading.flush()
  assert.equal(told, [11, 14])
  await clock.advance(5000)
  assert.equal(told, [11, 14])
})

test("what could not be told is told at the next look", async () => {
  const { clock, told, reading, answers } = arrange()
  answers(() => Promise.reject(new ChatError({ code: "client.disconnected", retry: true })))
  reading.saw(12)
  await clock.advance(5000)
  assert.equal(told, [12], "nobody looks: nothing is tried")
  answers(() => Promise.resolve())
  reading.saw(12)
  assert.equal(told, [12, 12])
})

test("messages marked unread stay so on the screen, until the person goes on reading", async () => {
  const { clock, told, reading } = arrange()
  reading.saw(20)
  await clock.advance(1000)
  reading.follow(at(20, 2), at(4, 3))
  reading.saw(20)
  await clock.advance(5000)
  assert.equal([told, reading.unreadFrom, reading.seen], [[20], 5, 0])
  reading.resume()
  reading.saw(6)
  assert.equal(told, [20, 6])
})

test("older news of the pointer and the answer to an earlier look mark nothing unread", async () => {
  const { clock, told, reading } = arrange()
  reading.saw(20)
  reading.follow(at(10, 1), at(15, 2))
  await clock.advance(1000)
  reading.saw(21)
  assert.equal([told, reading.unreadFrom], [[20, 21], null])
})

test("the unread line stays where it was when the room was opened", async () => {
  const { reading } = arrange()
  assert.equal(reading.opened({ role: "member", unread: 3, read: 10 }), true)
  assert.equal(reading.opened({ role: "member", unread: 9, read: 20 }), false)
  assert.equal(reading.unreadFrom, 11)
  const watcher = arrange().reading
  watcher.opened({ role: null, unread: 3, read: 10 })
  await settle()
  assert.equal(watcher.unreadFrom, null)
})
