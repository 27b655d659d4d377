import { IndexedDbStore } from "/chat/js/indexed-db-store.js"
import { MemoryStore } from "/chat/js/memory-store.js"
import { openStore, SpillingStore } from "/chat/js/outbox-store.js"
import { Outbox } from "/chat/js/outbox.js"
import { ChatError } from "/chat/js/protocol.js"
import { Tabs } from "/chat/js/tabs.js"
import { FakeClock, settle } from "./fake-clock.js"
import { assert, test } from "./runner.js"

class Alone {
  leads = true
  on() {}
  start() {}
  stop() {}
  tell() {}
  claim() {}
  takeOver() {}
}

async function arrange({ store = new MemoryStore(), owner = "site|ana", tabs = new Alone(), deadlineS = 0 } = {}) {
  const clock = new FakeClock()
  const posts = []
  const request = (command) => new Promise((resolve, reject) => posts.push({ ...command, resolve, reject }))
  const outbox = new Outbox({ owner, store, tabs, clock, request, limits: () => ({ frameBytes: 400, bodyChars: 100, deadlineS }) })
  await outbox.start()
  outbox.connected()
  return { outbox, posts, clock, store }
}

const until = async (condition, what) => {
  const giveUp = performance.now() + 15_000
  while (performance.now() < giveUp) {
    if (await condition()) return
    await settle()
    await new Promise((resolve) => setTimeout(resolve))
  }
  throw new Error(`never: ${what}`)
}

const answer = (number) => ({ id: `${number}`, number, seq: number, epoch: "e", createdAt: "", duplicate: false })
const refusal = (code, retry, retryAfterMs = null) => new ChatError({ code, message: code, retry, retryAfterMs })

test("one post of a room is unanswered at a time; rooms don't wait for each other", async () => {
  const { outbox, posts } = await arrange()
  for (const [room, body] of [["1", "a"], ["1", "b"], ["2", "c"]]) await outbox.add({ room, body })
  assert.equal(posts.map(({ body }) => body), ["a", "c"])
  posts[0].resolve(answer(1))
  await settle()
  assert.equal(posts.map(({ body }) => body), ["a", "c", "b"])
})

test("a browser whose storage never answers gets a store in memory", async () => {
  indexedDB.open = () => ({})
  const store = await openStore(1)
  delete indexedDB.open
  assert.equal([store.isDurable, (await store.add({ owner: "site|ana", body: "a" })) > 0], [false, true])
})

test("messages that a full disk refuses are kept in memory, in order, and sent by their tab", async () => {
  const refuse = async () => { throw new DOMException("full", "QuotaExceededError") }
  const store = new SpillingStore({ add: refuse, list: refuse })
  const { outbox, posts } = await arrange({ store, tabs: Object.assign(new Alone(), { leads: false }) })
  for (const body of ["a", "b"]) await outbox.add({ room: "1", body })
  assert.equal(outbox.pending("1").map(({ body }) => body), ["a", "b"])
  assert.equal(posts.map(({ body }) => body), ["a"])
  posts[0].resolve(answer(1))
  await settle()
  assert.equal(posts.map(({ body }) => body), ["a", "b"])
  assert.equal((await store.list("site|ana")).map(({ body }) => body), ["b"])
})

test("a message refused with retry: true stays first and waits as long as the server says", async () => {
  const { outbox, posts, clock } = await arrange()
  await outbox.add({ room: "1", body: "a" })
  await outbox.add({ room: "1", body: "b" })
  posts[0].reject(refusal("rate.limited", true, 4000))
  await clock.advance(3999)
  assert.equal(posts.length, 1)
  await clock.advance(1)
  assert.equal([posts[1].body, posts[1].clientId === posts[0].clientId], ["a", true])
})

test("a message refused with retry: false is shown as failed, and the next one is sent", async () => {
  const { outbox, posts, store } = await arrange()
  await outbox.add({ room: "1", body: "a" })
  await outbox.add({ room: "1", body: "b" })
  posts[0].reject(refusal("room.archived", false))
  await settle()
  assert.equal(outbox.pending("1").map(({ body, state }) => [body, state]), [["a", "failed"], ["b", "queued"]])
  assert.equal(posts.at(-1).body, "b")
  posts[1].resolve(answer(1))
  await settle()
  await outbox.retry(posts[0].clientId)
  assert.equal([posts.at(-1).body, posts.at(-1).clientId === posts[0].clientId], ["a", true])
  posts.at(-1).reject(refusal("message.client_id_conflict", false))
  await settle()
  await outbox.retry(posts[0].clientId)
  assert.ok(posts.at(-1).clientId !== posts[0].clientId, "an id that belongs to another text was used again")
  posts.at(-1).reject(refusal("room.archived", false))
  await settle()
  await outbox.discard(posts.at(-1).clientId)
  assert.equal((await store.list("site|ana")).length, 0)
})

test("after a lost connection the same message is sent again, first, with the same id", async () => {
  const { outbox, posts } = await arrange()
  await outbox.add({ room: "1", body: "a" })
  await outbox.add({ room: "1", body: "b" })
  outbox.disconnected()
  posts[0].reject(refusal("client.disconnected", true))
  await settle()
  assert.equal(posts.length, 1)
  outbox.connected()
  assert.equal([posts.length, posts[1].body, posts[1].clientId === posts[0].clientId], [2, "a", true])
})

test("a message with a field that the server does not know waits for one that does, and so does its room", async () => {
  const { outbox, posts, store } = await arrange()
  const stored = { owner: "site|ana", body: "look", replyTo: null, createdAt: "", state: "queued", error: null }
  await store.add({ ...stored, clientId: "c1", room: "1", attachments: ["7"] })
  await outbox.add({ room: "1", body: "at that" })
  await outbox.add({ room: "2", body: "hello" })
  assert.equal(posts.map(({ room }) => room), ["2"])
  outbox.disconnected()
  outbox.connected(["attachments"])
  assert.equal(posts.map(({ room, body }) => [room, body]).slice(1), [["1", "look"], ["2", "hello"]])
})

test("an acknowledged message stays visible until the room's stream has reached it", async () => {
  const { outbox, posts, store } = await arrange()
  await outbox.add({ room: "1", body: "a" })
  posts[0].resolve(answer(7))
  await settle()
  assert.equal([(await store.list("site|ana")).length, outbox.pending("1").map(({ state }) => state)], [0, ["stored"]])
  outbox.settle("1", { epoch: "e", seq: 6 })
  assert.equal(outbox.pending("1").length, 1)
  outbox.settle("1", { epoch: "e", seq: 7 })
  assert.equal(outbox.pending("1").length, 0)
})

test("only the server's answer settles a message: after any other fault it is repeated, with growing waits", async () => {
  const { outbox, posts, clock } = await arrange()
  await outbox.add({ room: "1", body: "a" })
  await outbox.add({ room: "2", body: "b" })
  posts[0].resolve(undefined)
  posts[1].reject(new TypeError("a fault of the page"))
  await settle()
  assert.equal(outbox.pending("1").map(({ body, state }) => [body, state]), [["a", "queued"]])
  await clock.advance(999)
  assert.equal(posts.length, 2)
  await clock.advance(1)
  assert.equal(posts.slice(2).map(({ body }) => body), ["a", "b"])
  posts[2].resolve(undefined)
  await clock.advance(1_999)
  assert.equal(posts.length, 4)
  await clock.advance(1)
  posts[4].resolve(answer(1))
  await settle()
  assert.equal(outbox.pending("1").map(({ state }) => state), ["stored"])
})

const fault = async () => { throw new DOMException("disk", "UnknownError") }

/** A disk whose methods fail while their names are in `broken`. */
function fragileDisk() {
  const [disk, broken, tried] = [new MemoryStore(), new Set(), []]
  const method = (name) => (...given) => {
    tried.push(name)
    return broken.has(name) ? fault() : disk[name](...given)
  }
  return { broken, tried, disk, ...Object.fromEntries(["add", "put", "remove", "list"].map((name) => [name, method(name)])) }
}

const bodies = (items) => items.map(({ body }) => body)

for (const [name, wrap] of [["the disk", (disk) => new SpillingStore(disk)], ["any store", (disk) => disk]]) {
  test(`a failed read of ${name} is not an empty store: the items stay, and the read is repeated`, async () => {
    const disk = fragileDisk()
    const { outbox, posts, clock } = await arrange({ store: wrap(disk) })
    outbox.disconnected()
    for (const body of ["a", "b"]) await outbox.add({ room: "1", body })
    disk.broken.add("list")
    await outbox.add({ room: "1", body: "c" })
    assert.equal(bodies(outbox.pending("1")), ["a", "b", "c"])
    const before = disk.tried.length
    await clock.advance(60_000)
    const again = disk.tried.slice(before)
    assert.ok(again.length > 3 && again.length < 20 && again.every((each) => each === "list"), `read ${again}`)
    assert.equal(bodies(outbox.pending("1")), ["a", "b", "c"])
    assert.equal(bodies(await disk.disk.list("site|ana")), ["a", "b", "c"], "nothing was taken off the disk")
    disk.broken.clear()
    await clock.advance(30_000)
    const whole = disk.tried.length
    await clock.advance(600_000)
    assert.equal(disk.tried.length, whole, "once it is read it is left alone")
    outbox.connected()
    for (let number = 1; number <= 3; number += 1) {
      posts.at(-1).resolve(answer(number))
      await settle()
    }
    assert.equal([bodies(posts), await disk.disk.list("site|ana")], [["a", "b", "c"], []])
  })
}

test("a store that could not be read at the start is sent, in order, once it can be", async () => {
  const disk = fragileDisk()
  const writer = await arrange({ store: new SpillingStore(disk) })
  writer.outbox.disconnected()
  for (const body of ["a", "b"]) await writer.outbox.add({ room: "1", body })
  disk.broken.add("list")
  const { outbox, posts, clock } = await arrange({ store: new SpillingStore(disk) })
  await outbox.add({ room: "1", body: "c" })
  assert.equal([bodies(outbox.pending("1")), posts], [["c"], []])
  disk.broken.clear()
  await clock.advance(30_000)
  assert.equal([bodies(outbox.pending("1")), bodies(posts)], [["a", "b", "c"], ["a"]])
})

test("a disk that never answers counts as one that fails", async () => {
  const disk = fragileDisk()
  const store = new SpillingStore(disk, 10)
  const order = await store.add({ owner: "o", body: "a" })
  for (const name of ["add", "put", "remove", "list"]) disk[name] = () => new Promise(() => {})
  await store.add({ owner: "o", body: "b" })
  assert.equal([bodies(await store.list("o")), store.isRead], [["a", "b"], false])
  await assert.rejects(store.remove(order), DOMException.TIMEOUT_ERR)
  await assert.rejects(store.put({ order }), DOMException.TIMEOUT_ERR)
})

test("a message that a slow disk holds beside the memory counts once, and is removed from both", async () => {
  const disk = new MemoryStore()
  const add = disk.add.bind(disk)
  const late = []
  disk.add = (item) => new Promise((resolve) => late.push(() => resolve(add(item))))
  const store = new SpillingStore(disk, 10)
  const order = await store.add({ owner: "o", body: "a" })
  late.shift()()
  await settle()
  assert.equal(bodies(await disk.list("o")), ["a"])
  assert.equal(bodies(await store.list("o")), ["a"])
  await store.remove(order)
  assert.equal([bodies(await disk.list("o")), bodies(await store.list("o"))], [[], []])

  const sent = await store.add({ owner: "o", body: "sent before the disk answers" })
  await store.remove(sent)
  late.shift()()
  await settle()
  assert.equal(bodies(await disk.list("o")), [])
})

test("a message can be discarded or sent again although the store can't remove it", async () => {
  const ignore = (event) => event.preventDefault()
  addEventListener("error", ignore)
  const disk = fragileDisk()
  const { outbox, posts } = await arrange({ store: new SpillingStore(disk) })
  for (const body of ["a", "b"]) await outbox.add({ room: "1", body })
  for (const place of [0, 1]) {
    posts[place].reject(refusal("message.forbidden", false))
    await settle()
  }
  disk.broken.add("remove")
  const [a, b] = outbox.pending("1")
  await outbox.discard(a.clientId)
  await outbox.retry(b.clientId)
  await settle()
  assert.equal(outbox.pending("1").map(({ body, state }) => [body, state]), [["b", "queued"]])
  assert.equal(bodies(posts), ["a", "b", "b"])
  removeEventListener("error", ignore)
})

test("a change that the store does not take counts on this page: nothing is sent over and over", async () => {
  const reports = []
  const listen = (event) => { event.preventDefault(); reports.push(event.message) }
  addEventListener("error", listen)
  const disk = fragileDisk()
  const { outbox, posts, clock } = await arrange({ store: new SpillingStore(disk) })
  disk.broken.add("remove").add("put")
  for (const body of ["a", "b", "c"]) await outbox.add({ room: "1", body })
  posts[0].resolve(answer(1))
  await settle()
  posts[1].reject(refusal("message.forbidden", false))
  await settle()
  outbox.settle("1", { epoch: "e", seq: 1 })
  await outbox.add({ room: "2", body: "d" })
  await settle()
  assert.equal(bodies(posts), ["a", "b", "c", "d"])
  assert.equal(outbox.pending("1").map(({ body, state }) => [body, state]), [["b", "failed"], ["c", "queued"]])
  assert.equal(reports.length, 2)
  await clock.advance(600_000)
  const tries = disk.tried.filter((name) => name === "remove" || name === "put").length
  assert.ok(tries > 10 && tries < 100, `told ${tries} times in ten minutes`)
  assert.equal([bodies(posts), outbox.isKept], [["a", "b", "c", "d"], false])
  disk.broken.clear()
  await clock.advance(30_000)
  assert.equal((await disk.disk.list("site|ana")).map(({ body, state }) => [body, state]), [["b", "failed"], ["c", "queued"], ["d", "queued"]])
  assert.equal(outbox.isKept, true)
  removeEventListener("error", listen)
})

test("a message is shown at once, although the disk does not answer, and moves there when it does", async () => {
  const disk = fragileDisk()
  const clock = new FakeClock()
  const { outbox } = await arrange({ store: new SpillingStore(disk, 10, clock) })
  const add = disk.add
  disk.add = () => new Promise(() => {})
  const adding = outbox.add({ room: "1", body: "a" })
  assert.equal(bodies(outbox.pending("1")), ["a"])
  await adding
  await outbox.add({ room: "1", body: "b" })
  assert.equal([bodies(outbox.pending("1")), outbox.pending("1").map(({ isHere }) => isHere), outbox.isKept], [["a", "b"], [true, true], false])
  disk.add = add
  await clock.advance(60_000)
  await settle()
  assert.equal(bodies(await disk.disk.list("site|ana")), ["a", "b"])
  assert.equal([bodies(outbox.pending("1")), outbox.pending("1").map(({ isHere }) => isHere), outbox.isKept], [["a", "b"], [undefined, undefined], true])
})

test("a message that moves to the disk while it is sent is not sent again, and leaves both", async () => {
  const disk = fragileDisk()
  const clock = new FakeClock()
  disk.broken.add("add")
  const { outbox, posts } = await arrange({ store: new SpillingStore(disk, 10, clock) })
  await outbox.add({ room: "1", body: "a" })
  assert.equal(bodies(posts), ["a"])
  disk.broken.clear()
  await clock.advance(60_000)
  assert.equal(bodies(await disk.disk.list("site|ana")), ["a"])
  posts[0].resolve(answer(1))
  await settle()
  outbox.settle("1", { epoch: "e", seq: 1 })
  assert.equal([bodies(posts), outbox.pending("1"), await disk.disk.list("site|ana")], [["a"], [], []])
})

test("a database that the browser has closed is opened again", async () => {
  const name = `closed-${Math.random()}`
  const store = await IndexedDbStore.open(name)
  await store.add({ owner: "o", body: "a" })
  indexedDB.deleteDatabase(name) // asks every page to let go of it
  await until(async () => (await store.list("o")).length === 0, "the old one is gone")
  await store.add({ owner: "o", body: "b" })
  assert.equal(bodies(await store.list("o")), ["b"])
})

test("what waits when the site's data are cleared is sent all the same, once and in order, and so is what follows", async () => {
  const name = `cleared-${Math.random()}`
  const store = new SpillingStore(await IndexedDbStore.open(name))
  const { outbox, posts } = await arrange({ store })
  for (const body of ["a", "b", "c"]) await outbox.add({ room: "1", body })
  const deleting = indexedDB.deleteDatabase(name)
  await new Promise((resolve) => (deleting.onsuccess = resolve))
  await outbox.add({ room: "1", body: "d" })
  assert.equal([bodies(posts), bodies(outbox.pending("1"))], [["a"], ["a", "b", "c", "d"]])
  for (const [place, body] of ["a", "b", "c", "d"].entries()) {
    await until(() => posts.length > place, `the post of ${body}`)
    posts[place].resolve(answer(place + 1))
  }
  await until(async () => !(await store.list("site|ana")).length, "all is sent")
  assert.equal(bodies(posts), ["a", "b", "c", "d"])
  outbox.stop()
})

test("what waits when the site's data are cleared is on the new disk after a while", async () => {
  const name = `cleared-${Math.random()}`
  const clock = new FakeClock()
  const store = new SpillingStore(await IndexedDbStore.open(name), 5_000, clock)
  for (const body of ["a", "b"]) await store.add({ owner: "o", body })
  const deleting = indexedDB.deleteDatabase(name)
  await new Promise((resolve) => (deleting.onsuccess = resolve))
  assert.equal(bodies(await store.list("o")), ["a", "b"])
  await clock.advance(1_000)
  await until(() => store.isKept, "they are kept")
  const next = new SpillingStore(await IndexedDbStore.open(name))
  assert.equal(bodies(await next.list("o")), ["a", "b"])
})

// When a refusal is the last word

test("what an earlier connection had sent is failed only once the server can't store it any more", async () => {
  const { outbox, posts, clock } = await arrange({ deadlineS: 15 })
  await outbox.add({ room: "1", body: "a" })
  await clock.advance(5_000)
  outbox.disconnected()
  posts[0].reject(refusal("client.disconnected", true))
  await settle()
  outbox.connected()
  posts[1].reject(refusal("room.forbidden", false))
  await clock.advance(14_999)
  assert.equal([posts.length, outbox.pending("1")[0].state], [2, "queued"])
  await clock.advance(1)
  posts[2].reject(refusal("room.forbidden", false))
  await settle()
  assert.equal([posts.length, outbox.pending("1")[0].state], [3, "failed"])
})

test("what was sent once, on this connection, is failed at once; what an earlier page left is not", async () => {
  const { outbox, posts, store, clock } = await arrange({ deadlineS: 15 })
  await outbox.add({ room: "1", body: "a" })
  posts[0].reject(refusal("room.forbidden", false))
  await settle()
  assert.equal(outbox.pending("1")[0].state, "failed")
  outbox.disconnected()
  await outbox.add({ room: "2", body: "b" })
  const next = await arrange({ store, deadlineS: 15 })
  next.posts[0].reject(refusal("room.forbidden", false))
  await settle()
  assert.equal(next.outbox.pending("2")[0].state, "queued")
  await next.clock.advance(15_000)
  next.posts[1].reject(refusal("room.forbidden", false))
  await settle()
  assert.equal([next.outbox.pending("2")[0].state, clock.now() > 0], ["failed", true])
})

test("after a server.error, which says nothing of the outcome, a refusal is not the last word either", async () => {
  const { outbox, posts, clock } = await arrange({ deadlineS: 15 })
  await outbox.add({ room: "1", body: "a" })
  posts[0].reject(refusal("server.error", true))
  await clock.advance(1_000)
  posts[1].reject(refusal("room.forbidden", false))
  await settle()
  assert.equal(outbox.pending("1")[0].state, "queued")
  await clock.advance(14_000)
  posts[2].reject(refusal("room.forbidden", false))
  await settle()
  assert.equal(outbox.pending("1")[0].state, "failed")
})

async function troubled(posts, clock, body, times) {
  for (let n = 0; n < times; n += 1) {
    posts.findLast((each) => each.body === body).reject(refusal("server.error", true))
    await clock.advance(30_000)
  }
}

test("a message that the server fails on five times, while it stores another, blocks its room no longer", async () => {
  const { outbox, posts, clock } = await arrange()
  for (const [room, body] of [["1", "poison"], ["1", "behind"], ["2", "other"]]) await outbox.add({ room, body })
  await troubled(posts, clock, "poison", 4)
  posts.find(({ body }) => body === "other").resolve(answer(1))
  await settle()
  await troubled(posts, clock, "poison", 1)
  const [poison] = outbox.pending("1")
  assert.equal([poison.state, poison.error.code, posts.at(-1).body], ["failed", "server.error", "behind"])
  posts.at(-1).resolve(answer(2))
  await settle()
  await outbox.retry(poison.clientId)
  await settle()
  assert.equal([posts.at(-1).body, posts.at(-1).clientId], ["poison", poison.clientId])
})

test("while the database is away, nothing is given up", async () => {
  const { outbox, posts, clock } = await arrange()
  await outbox.add({ room: "2", body: "before" })
  posts[0].resolve(answer(1))
  await settle()
  await outbox.add({ room: "1", body: "a" })
  await troubled(posts, clock, "a", 20)
  assert.equal(outbox.pending("1").map(({ state }) => state), ["queued"])
})

// Other tabs

class Elsewhere extends Alone {
  leads = false
  taken = 0
  takeOver() {
    this.taken += 1
  }
}

test("a tab takes over when the one that sends gets nothing answered, and not while it does", async () => {
  const tabs = new Elsewhere()
  let tell = (_) => {}
  tabs.on = (name, listener) => name === "news" && (tell = listener)
  const { outbox, posts, clock } = await arrange({ tabs })
  await outbox.add({ room: "1", body: "a" })
  const [{ clientId }] = outbox.pending("1")
  await clock.advance(3_000)
  tell({ room: "1", tried: { clientId, againMs: 15_000 } })
  outbox.connected()
  await clock.advance(18_999)
  assert.equal([tabs.taken, posts.length], [0, 0])
  await clock.advance(1)
  assert.equal(tabs.taken, 1)
  await clock.advance(60_000)
  assert.equal(tabs.taken, 1, "for one message it is done once")
})

test("what takes longer than three seconds is late, and counts as unsent", async () => {
  const { outbox, clock } = await arrange()
  let changes = 0
  outbox.on("change", () => (changes += 1))
  await outbox.add({ room: "1", body: "a" })
  assert.equal([outbox.pending("1")[0].isLate, outbox.unsent.length], [false, 0])
  const before = changes
  await clock.advance(3_000)
  assert.equal([outbox.pending("1")[0].isLate, outbox.unsent.length, changes > before], [true, 1, true])
})

test("nobody else's messages are sent, whoever signs in on the same machine", async () => {
  const { outbox, store } = await arrange()
  outbox.disconnected()
  await outbox.add({ room: "1", body: "ana's" })
  const { posts } = await arrange({ store, owner: "site|ben" })
  assert.equal(posts, [])
  const again = await arrange({ store })
  assert.equal(again.posts.map(({ body }) => body), ["ana's"])
})

test("a message that the server would refuse is never stored: blank, too long, too large, not storable", async () => {
  const { outbox, store } = await arrange()
  const refused = { " \n": "message.empty", ["x".repeat(101)]: "message.too_long", ["👋🏽".repeat(48)]: "message.too_long", "a\0b": "message.invalid_text", "a\ud800": "message.invalid_text" }
  for (const [body, code] of Object.entries(refused)) await assert.rejects(outbox.add({ room: "1", body }), code)
  await outbox.add({ room: "1", body: "é".repeat(100) })
  assert.equal((await store.list("site|ana")).map(({ body }) => body.length), [100])
})

for (const [name, open] of [["memory", async () => new MemoryStore()], ["IndexedDB", () => IndexedDbStore.open(`test-${Math.random()}`)]]) {
  test(`the ${name} store keeps an owner's items in the order added`, async () => {
    const store = await open()
    const orders = await Promise.all(["a", "b", "c"].map((body) => store.add({ owner: "o", body })))
    await store.add({ owner: "p", body: "another's" })
    assert.equal(orders, [...orders].sort((a, b) => a - b))
    await store.put({ owner: "o", body: "B", order: orders[1] })
    await store.remove(orders[0])
    await store.put({ owner: "o", body: "gone", order: orders[0] })
    assert.equal((await store.list("o")).map(({ body, order }) => [body, order]), [["B", orders[1]], ["c", orders[2]]])
  })
}


test("of two tabs one sends; when it closes the other does", async () => {
  const clock = new FakeClock()
  const name = `tabs-${Math.random()}`
  const [a, b] = [0, 1].map(() => new Tabs({ name, clock, isLive: () => true }))
  a.start()
  await until(() => a.leads, "the first leads")
  b.start()
  b.claim()
  await until(() => { clock.advance(10_000); return true }, "time passes")
  await settle()
  assert.equal([a.leads, b.leads], [true, false])
  a.stop()
  await until(() => b.leads, "the second leads")
  b.stop()
})

test("a tab that is connected takes over from one that is not, which queues for the lock again", async () => {
  const clock = new FakeClock()
  const name = `tabs-${Math.random()}`
  let isOnline = false
  const a = new Tabs({ name, clock, isLive: () => isOnline })
  const b = new Tabs({ name, clock, isLive: () => true })
  a.start()
  await until(() => a.leads, "the first leads")
  b.start()
  b.claim()
  await clock.advance(3_000)
  await until(() => b.leads && !a.leads, "the second took over")
  isOnline = true
  b.stop()
  await until(() => a.leads, "the first leads again")
  a.stop()
})
