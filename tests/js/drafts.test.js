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

test("what the last pause had no time for is written when the page goes", () => {
  const storage = new Shelf()
  const { keeper } = tab(storage)
  keeper.keep(draft("almost", { mode: { name: "reply", message: { id: "5", number: 5, author: null } } }))
  keeper.flush()
  assert.equal(tab(storage).keeper.read().mode.message.id, "5")
})

test("an emptied one is gone; an edit or a reply without a word is not", () => {
  const storage = new Shelf()
  const { keeper } = tab(storage)
  const put = (each) => (keeper.keep(each), keeper.flush(), keeper.read()?.mode.name ?? null)
  assert.equal(put(draft("", { mode: { name: "reply", message: {} } })), "reply")
  assert.equal(put(draft("x")), "new")
  assert.equal(put(draft("  ")), null)
})

test("a tab that only watched never brings back what another one has sent", () => {
  const storage = new Shelf()
  const [one, two] = [tab(storage).keeper, tab(storage).keeper]
  const key = "chat-draft|site|ana|1"
  one.keep(draft("Soup"))
  one.flush()
  assert.equal([two.isNews(key), two.isNews("something else"), two.read().text], [true, false, "Soup"])
  one.keep(draft(""))
  one.flush()
  two.flush()
  assert.equal([one.read(), two.read()], [null, null])
})

test("words that this tab has not saved yet are not overwritten by another tab's", async () => {
  const storage = new Shelf()
  const { keeper, clock } = tab(storage)
  keeper.keep(draft("mine"))
  assert.equal(keeper.isNews("chat-draft|site|ana|1"), false)
  await clock.advance(300)
  assert.equal([keeper.read().text, keeper.isNews("chat-draft|site|ana|1")], ["mine", true])
})

test("a full or forbidden storage stops nobody from writing", () => {
  const refuse = () => { throw new DOMException("full", "QuotaExceededError") }
  const { keeper } = tab({ getItem: refuse, setItem: refuse, removeItem: refuse })
  keeper.keep(draft("x"))
  keeper.flush()
  assert.equal(keeper.read(), null)
})
