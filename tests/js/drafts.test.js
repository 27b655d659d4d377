import { DraftKeeper } from "/chat/js/drafts.js"
import { FakeClock } from "./fake-clock.js"
import { assert, test } from "./runner.js"

class Shelf {
  #items = new Map()
  getItem(key) { return this.#items.get(key) ?? null }
  setItem(key, value) { this.#items.set(key, value) }
  removeItem(key) { this.#items.delete(key) }
}

const NEW = { name: "new" }
const draft = (text, more = {}) => ({ text, mode: NEW, parked: null, ...more })

function tab(storage, { owner = "site|ana", room = "1", clock = new FakeClock() } = {}) {
  return { clock, keeper: new DraftKeeper({ owner, room, storage, clock }) }
}

test("a draft is there for the next page of the same person and room, and for nobody else", async () => {
  const storage = new Shelf()
  const { keeper, clock } = tab(storage)
  keeper.keep(draft("Soup to"))
  keeper.keep(draft("Soup today?"))
  assert.equal(keeper.read(), null, "not at each key")
  await clock.advance(300)
  assert.equal(tab(storage).keeper.read().text, "Soup today?")
  assert.equal(tab(storage, { room: "2" }).keeper.read(), null)
  assert.equal(tab(storage, { owner: "site|ben" }).keeper.read(), null)
})

test("a draft that was not stored yet is stored when the page closes", () => {
  const storage = new Shelf()
  const { keeper } = tab(storage)
  keeper.keep(draft("almost", { mode: { name: "reply", message: { id: "5", number: 5, author: null } } }))
  keeper.flush()
  assert.equal(tab(storage).keeper.read().mode.message.id, "5")
})

test("an emptied draft is removed; a reply without a word is kept", () => {
  const storage = new Shelf()
  const { keeper } = tab(storage)
  const put = (each) => (keeper.keep(each), keeper.flush(), keeper.read()?.mode.name ?? null)
  assert.equal(put(draft("", { mode: { name: "reply", message: {} } })), "reply")
  assert.equal(put(draft("x")), "new")
  assert.equal(put(draft("  ")), null)
})

/** The event that other tabs get when `work` changes the storage. */
function news(storage, work) {
  const key = "chat-draft|site|ana|1"
  const oldValue = storage.getItem(key)
  work()
  return { key, oldValue, newValue: storage.getItem(key) }
}

const write = (keeper, text) => (keeper.keep(draft(text)), keeper.flush())

test("an empty tab shows what another one writes, and never brings back what that one has sent", async () => {
  const storage = new Shelf()
  const [one, two] = [tab(storage).keeper, tab(storage).keeper]
  assert.equal(two.isNews(news(storage, () => write(one, "Soup")), true), true)
  assert.equal(two.isNews({ key: "something else", oldValue: null, newValue: "1" }, true), false)
  assert.equal(two.read().text, "Soup")
  assert.equal(two.isNews(news(storage, () => write(one, "Soup today")), false), true)
  two.read()
  assert.equal(two.isNews(news(storage, () => write(one, "")), false), true)
  two.read()
  two.flush()
  assert.equal([one.read(), two.read()], [null, null])
})

test("a draft that one tab began and another one sent is gone from both", () => {
  const storage = new Shelf()
  const [one, two] = [tab(storage).keeper, tab(storage).keeper]
  write(one, "Soup")
  two.read()
  assert.equal(one.isNews(news(storage, () => write(two, "Soup today")), false), true)
  one.read()
  assert.equal(one.isNews(news(storage, () => write(two, "")), false), true)
})

test("words written in one tab are never replaced by a draft begun in another", async () => {
  const storage = new Shelf()
  const { keeper: one, clock } = tab(storage)
  const two = tab(storage).keeper
  one.keep(draft("mine"))
  assert.equal(one.isNews(news(storage, () => write(two, "yours")), false), false, "not saved yet")
  await clock.advance(300)
  assert.equal(one.read().text, "mine")
  assert.equal(two.isNews(news(storage, () => write(one, "mine!")), false), false)
  assert.equal(one.isNews(news(storage, () => write(two, "yours!")), false), false, "saved")
  assert.equal(one.isNews(news(storage, () => write(two, "")), false), false, "theirs was sent, not mine")
  assert.equal(one.isNews({ key: null, oldValue: null, newValue: null }, false), false, "all was cleared")
  assert.equal(one.isNews(news(storage, () => write(two, "next")), true), true, "mine was sent too")
})

test("a draft that could not be stored still belongs to its tab", () => {
  const storage = new Shelf()
  const { keeper } = tab(storage)
  storage.setItem = () => { throw new DOMException("full", "QuotaExceededError") }
  write(keeper, "mine")
  assert.equal(keeper.isNews({ key: "chat-draft|site|ana|1", oldValue: null, newValue: null }, false), false)
})

test("a full or forbidden storage stops nobody from writing", () => {
  const refuse = () => { throw new DOMException("full", "QuotaExceededError") }
  const { keeper } = tab({ getItem: refuse, setItem: refuse, removeItem: refuse })
  keeper.keep(draft("x"))
  keeper.flush()
  assert.equal(keeper.read(), null)
})

test("a draft that can't be read is not written over, and is found once it can be read", async () => {
  const storage = new Shelf()
  write(tab(storage).keeper, "Soup")
  const getItem = storage.getItem
  storage.getItem = () => { throw new DOMException("disk", "UnknownError") }
  const clock = new FakeClock()
  let found = 0
  const keeper = new DraftKeeper({ owner: "site|ana", room: "1", storage, clock, found: () => (found += 1) })
  assert.equal([keeper.read(), keeper.isUnread], [null, true])
  write(keeper, "Bread")
  await clock.advance(60_000)
  storage.getItem = getItem
  assert.equal(tab(storage).keeper.read().text, "Soup")
  await clock.advance(30_000)
  assert.equal([found, keeper.isUnread, keeper.read().text], [1, false, "Soup"])
  write(keeper, "Soup\nBread")
  assert.equal(tab(storage).keeper.read().text, "Soup\nBread")
})

test("a draft begun while the storage can't be read is stored once that turns out to be empty", async () => {
  const storage = new Shelf()
  const getItem = storage.getItem
  storage.getItem = () => { throw new DOMException("disk", "UnknownError") }
  const { keeper, clock } = tab(storage)
  keeper.read()
  write(keeper, "Bread")
  storage.getItem = getItem
  assert.equal(tab(storage).keeper.read(), null)
  await clock.advance(2_000)
  assert.equal(tab(storage).keeper.read().text, "Bread")
})

test("sending one's own words leaves another tab's draft in the storage", () => {
  const storage = new Shelf()
  const [one, two] = [tab(storage).keeper, tab(storage).keeper]
  write(one, "mine")
  write(two, "yours")
  write(one, "")
  assert.equal(one.read()?.text, "yours")
})
