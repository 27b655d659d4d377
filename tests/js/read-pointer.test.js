import { ReadPointer } from "/chat/js/read-pointer.js"
import { ChatError } from "/chat/js/protocol.js"
import { FakeClock, settle } from "./fake-clock.js"
import { assert, test } from "./runner.js"

const look = (first, last, isEnd = false) => ({ first, last, isEnd })
const at = (read, rev) => ({ read, rev, role: "member", unread: 0 })

function arrange() {
  const clock = new FakeClock()
  const told = []
  let answer = () => Promise.resolve()
  const reading = new ReadPointer({ clock, tell: (number) => (told.push(number), answer()) })
  reading.follow(null, at(10, 1))
  return { clock, told, reading, answers: (with_) => (answer = with_) }
}

test("the highest number seen is told at most once a second, and never one that is read already", async () => {
  const { clock, told, reading } = arrange()
  for (const number of [9, 10, 11, 12, 15, 14]) reading.saw(look(8, number))
  assert.equal(told, [11])
  await clock.advance(999)
  assert.equal(told, [11])
  await clock.advance(1)
  assert.equal(told, [11, 15])
  await clock.advance(5000)
  reading.saw(look(9, 15))
  reading.saw(look(10, 16))
  assert.equal(told, [11, 15, 16])
})

test("what was seen within the last second is told when the page closes", async () => {
  const { clock, told, reading } = arrange()
  reading.saw(look(8, 11))
  reading.saw(look(8, 14))
  assert.equal(told, [11])
  reading.flush()
  assert.equal(told, [11, 14])
  await clock.advance(5000)
  assert.equal(told, [11, 14])
})

test("what could not be told is told at the next look", async () => {
  const { clock, told, reading, answers } = arrange()
  answers(() => Promise.reject(new ChatError({ code: "client.disconnected", retry: true })))
  reading.saw(look(8, 12))
  await clock.advance(5000)
  assert.equal(told, [12], "nobody looks: nothing is tried")
  answers(() => Promise.resolve())
  reading.saw(look(8, 12))
  assert.equal(told, [12, 12])
})

test("messages marked unread stay so on the screen, until the person goes on reading", async () => {
  const { clock, told, reading } = arrange()
  reading.saw(look(3, 20))
  await clock.advance(1000)
  reading.follow(at(20, 2), at(4, 3))
  reading.saw(look(3, 20))
  await clock.advance(5000)
  assert.equal([told, reading.unreadFrom, reading.seen], [[20], 5, 0])
  reading.resume()
  reading.saw(look(2, 6))
  assert.equal(told, [20, 6])
})

test("older news of the pointer and the answer to an earlier look mark nothing unread", async () => {
  const { clock, told, reading } = arrange()
  reading.saw(look(3, 20))
  reading.follow(at(10, 1), at(15, 2))
  await clock.advance(1000)
  reading.saw(look(4, 21))
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

test("what is seen past a leap is not told until the reader has scrolled to where the pointer stands", async () => {
  const { clock, told, reading } = arrange()
  reading.saw(look(5, 14))
  reading.leap()
  for (const [first, last] of [[145, 155], [140, 150], [60, 70], [50, 61], [30, 52]]) reading.saw(look(first, last))
  await clock.advance(5000)
  assert.equal([told, reading.seen, reading.isAhead], [[14], 14, true])
  reading.saw(look(15, 31))
  assert.equal([told, reading.isAhead], [[14, 70], false], "what was seen before the second leap, to 60, joins on to nothing")
})

test("what is seen past a leap also counts once another device has read up to there", async () => {
  const { told, reading } = arrange()
  reading.leap()
  reading.saw(look(145, 155))
  reading.follow(at(10, 1), at(144, 2))
  reading.saw(look(145, 155))
  assert.equal(told, [155])
})

test("coming to the newest message reads all before; being put there does not, unless they ask or move", async () => {
  const came = arrange()
  came.reading.leap()
  came.reading.saw(look(145, 155))
  came.reading.saw(look(190, 200, true))
  assert.equal(came.told, [200])
  came.reading.saw(look(240, 250, true))
  assert.equal(came.reading.seen, 250, "more came at once than the screen holds")

  const put = arrange()
  put.reading.leap()
  put.reading.saw(look(190, 200, true))
  put.reading.saw(look(191, 201, true))
  assert.equal([put.told, put.reading.isAhead], [[], true])
  put.reading.saw(look(185, 199))
  put.reading.saw(look(191, 201, true))
  assert.equal(put.told, [201])

  const near = arrange()
  near.reading.leap()
  near.reading.saw(look(5, 14, true))
  near.reading.saw(look(40, 50, true))
  assert.equal(near.reading.seen, 50, "there was nothing unread before where they were put")

  const asked = arrange()
  asked.reading.leap()
  asked.reading.arrive()
  asked.reading.saw(look(190, 200, true))
  assert.equal(asked.told, [200])
})

test("messages marked unread on another device stay so when a reader at the newest scrolls a little", async () => {
  const { clock, told, reading } = arrange()
  reading.saw(look(3, 20, true))
  await clock.advance(1000)
  reading.follow(at(20, 2), at(4, 3))
  reading.resume()
  reading.saw(look(12, 20, true))
  reading.saw(look(11, 20, true))
  assert.equal([told, reading.isAhead], [[20], true])
  reading.saw(look(5, 19))
  assert.equal(told, [20, 20])
})

test("however a reader scrolls and leaps, the pointer passes no unseen message and reaches all seen ones", async () => {
  let state = 7
  const random = (below) => (state = (state * 48_271) % 2_147_483_647) % below
  for (let round = 0; round < 200; round += 1) {
    const { clock, told, reading } = arrange()
    const seen = new Set()
    let first = 8
    for (let step = 0; step < 60; step += 1) {
      // The reader mostly scrolls by at most a screen of 10 messages, and now and then leaps, with or without `leap()`.
      if (random(8) === 0) {
        first = 1 + random(280)
        if (random(2)) reading.leap()
      } else first = Math.min(280, Math.max(1, first + random(21) - 10))
      reading.saw(look(first, first + 9))
      for (let number = first; number < first + 10; number += 1) seen.add(number)
      if (random(3) === 0) await clock.advance(1000)
      let reached = 10
      while (seen.has(reached + 1)) reached += 1
      assert.equal(reading.seen <= reached && told.every((number) => number <= reached), true, `round ${round}: ${reading.seen}`)
    }
    // Then read from the pointer down to the end, half a screen at a time.
    for (let down = Math.max(10, reading.seen); down < 280; down += 5) reading.saw(look(down, down + 9))
    await clock.advance(1000)
    assert.equal(told.at(-1) >= 284, true, `round ${round}: told ${told.at(-1)}`)
  }
})
