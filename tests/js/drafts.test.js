import { DraftKeeper, Drafts } from "/chat/js/drafts.js"
import { IndexedDbStore } from "/chat/js/indexed-db-store.js"
import { MemoryStore } from "/chat/js/memory-store.js"
import { Emitter } from "/chat/js/emitter.js"
import { FakeClock, settle } from "./fake-clock.js"
import { assert, test } from "./runner.js"

const NEW = { name: "new" }
const draft = (text, more = {}) => ({ text, mode: NEW, parked: null, ...more })

/** The tabs of a browser: each hears what the others tell. */
class Browser {
  store = new MemoryStore()
  #channels = []

  async tab({ owner = "site|ana", room = "1", clock = new FakeClock(), ...more } = {}) {
    const channel = Object.assign(new Emitter(), {
      tell: (news) => this.#channels.filter((each) => each !== channel).forEach((each) => each.emit("news", news)),
    })
    this.#channels.push(channel)
    const drafts = new Drafts({ owner, store: Promise.resolve(this.store), tabs: channel })
    await drafts.start()
    const keeper = new DraftKeeper({ room, drafts, clock, ...more })
    const news = []
    drafts.on("news", (each) => news.push(each))
    await keeper.read()
    return { clock, keeper, drafts, news, read: async () => (await keeper.read())?.text ?? null }
  }
}

const write = async (keeper, text) => {
  keeper.keep(draft(text))
  keeper.flush()
  await settle()
}

test("a draft is there for the next page of the same person and room, and for nobody else", async () => {
  const browser = new Browser()
  const { keeper, clock, read } = await browser.tab()
  keeper.keep(draft("Soup to"))
  keeper.keep(draft("Soup today?"))
  assert.equal(await read(), null, "not at each key")
  await clock.advance(300)
  assert.equal(await (await browser.tab()).read(), "Soup today?")
  assert.equal(await (await browser.tab({ room: "2" })).read(), null)
  assert.equal(await (await browser.tab({ owner: "site|ben" })).read(), null)
})

test("it is known in which rooms there are drafts", async () => {
  const browser = new Browser()
  const [one, two] = [await browser.tab(), await browser.tab()]
  await write(one.keeper, "Soup")
  assert.equal([one, two, await browser.tab()].map(({ drafts }) => [drafts.has("1"), drafts.has("2")]), Array(3).fill([true, false]))
  await write(one.keeper, "")
  assert.equal([one, two, await browser.tab()].map(({ drafts }) => drafts.has("1")), Array(3).fill(false))
})

test("a draft that was not stored yet is stored when the page closes", async () => {
  const browser = new Browser()
  const { keeper } = await browser.tab()
  keeper.keep(draft("almost", { mode: { name: "reply", message: { id: "5", number: 5, author: null } } }))
  keeper.flush()
  const { keeper: next } = await browser.tab()
  assert.equal((await next.read()).mode.message.id, "5")
})

test("an emptied draft is removed; a reply without a word is kept", async () => {
  const { keeper } = await new Browser().tab()
  const put = async (each) => {
    keeper.keep(each)
    keeper.flush()
    await settle()
    return (await keeper.read())?.mode.name ?? null
  }
  assert.equal(await put(draft("", { mode: { name: "reply", message: {} } })), "reply")
  assert.equal(await put(draft("x")), "new")
  assert.equal(await put(draft("  ")), null)
})

const shows = ({ keeper, news }, isEmpty) => keeper.isNews(news.at(-1), isEmpty)

test("an empty tab shows what another one writes, and never brings back what that one has sent", async () => {
  const browser = new Browser()
  const [one, two] = [await browser.tab(), await browser.tab()]
  await write(one.keeper, "Soup")
  assert.equal([shows(two, true), await two.read()], [true, "Soup"])
  await write(one.keeper, "Soup today")
  assert.equal([shows(two, false), await two.read()], [true, "Soup today"])
  await write(one.keeper, "")
  assert.equal([shows(two, false), await two.read()], [true, null])
  two.keeper.flush()
  assert.equal([await one.read(), await two.read()], [null, null])
})

test("words written in one tab are never replaced by a draft begun in another", async () => {
  const browser = new Browser()
  const [one, two] = [await browser.tab(), await browser.tab()]
  one.keeper.keep(draft("mine"))
  await write(two.keeper, "yours")
  assert.equal(shows(one, false), false, "not saved yet")
  await one.clock.advance(300)
  assert.equal(await one.read(), "mine")
  await write(one.keeper, "mine!")
  assert.equal(shows(two, false), false)
  await write(two.keeper, "yours!")
  assert.equal(shows(one, false), false, "saved")
  await write(two.keeper, "")
  assert.equal(shows(one, false), false, "theirs was sent, not mine")
})

test("sending one's own words leaves another tab's draft", async () => {
  const browser = new Browser()
  const [one, two] = [await browser.tab(), await browser.tab()]
  await write(one.keeper, "mine")
  await write(two.keeper, "yours")
  await write(one.keeper, "")
  assert.equal(await one.read(), "yours")
})

test("a draft stays until it is a message; what is written meanwhile becomes the next draft", async () => {
  const browser = new Browser()
  const [one, two] = [await browser.tab(), await browser.tab()]
  await write(one.keeper, "Soup")
  let stored = () => {}
  const sending = one.keeper.send(async (name) => {
    await new Promise((resolve) => (stored = resolve))
    await browser.store.dropDraft(name) // in the transaction that adds the message
    return true
  })
  one.keeper.keep(draft("Bread"))
  await one.clock.advance(300)
  assert.equal((await (await browser.tab()).read()), "Soup", "after a crash it is still there")
  stored()
  await sending
  assert.equal([await two.read(), two.drafts.has("1")], [null, false])
  one.keeper.flush()
  await settle()
  assert.equal(await two.read(), "Bread")
})

test("a draft that could not be sent is still there, with what was typed since", async () => {
  const browser = new Browser()
  const { keeper, read } = await browser.tab()
  await write(keeper, "Soup")
  await keeper.send(async () => false)
  await write(keeper, "Soup\nBread")
  assert.equal([await read(), (await browser.store.drafts("site|ana")).length], ["Soup\nBread", 1])
})

const fault = async () => { throw new DOMException("disk", "UnknownError") }

test("a draft that can't be read is not written over, and is found once it can be read", async () => {
  const browser = new Browser()
  await write((await browser.tab()).keeper, "Soup")
  const read = browser.store.draft
  browser.store.draft = fault
  let found = 0
  const { keeper, clock } = await browser.tab({ found: () => (found += 1) })
  assert.equal(keeper.isUnread, true)
  await write(keeper, "Bread")
  await clock.advance(60_000)
  browser.store.draft = read
  assert.equal(await (await browser.tab()).read(), "Soup")
  await clock.advance(30_000)
  assert.equal([found, keeper.isUnread], [1, false])
  await write(keeper, "Soup\nBread")
  assert.equal(await (await browser.tab()).read(), "Soup\nBread")
})

test("a draft begun while the store can't be read is stored once that turns out to be empty", async () => {
  const browser = new Browser()
  const read = browser.store.draft
  browser.store.draft = fault
  const { keeper, clock } = await browser.tab()
  await write(keeper, "Bread")
  browser.store.draft = read
  assert.equal(await (await browser.tab()).read(), null)
  await clock.advance(2_000)
  assert.equal(await (await browser.tab()).read(), "Bread")
})

test("a message and the end of its draft reach the disk in one step", async () => {
  const store = await IndexedDbStore.open(`drafts-${Math.random()}`)
  const name = { key: "o|1", id: "d1" }
  await store.keepDraft({ ...name, owner: "o", room: "1", text: "Soup", mode: NEW })
  const refused = await store.add({ owner: "o", body: () => "can't be stored" }, name).catch((error) => error.name)
  assert.equal([refused, (await store.draft("o|1")).text, await store.list("o")], ["DataCloneError", "Soup", []])
  await store.add({ owner: "o", body: "Soup" }, { ...name, id: "another" })
  assert.equal((await store.draft("o|1")).text, "Soup", "a draft with another id is somebody else's")
  await store.add({ owner: "o", body: "Soup" }, name)
  assert.equal([await store.draft("o|1"), await store.drafts("o"), (await store.list("o")).length], [null, [], 2])
})

test("drafts that an older page has kept elsewhere are taken over once", async () => {
  const key = "site/x|7|12"
  localStorage.setItem(`chat-draft|${key}`, JSON.stringify(draft("Soup", { id: "d1" })))
  const store = await IndexedDbStore.open(`drafts-${Math.random()}`)
  const { id, owner, room, text } = await store.draft(key)
  assert.equal([id, owner, room, text], ["d1", "site/x|7", "12", "Soup"])
  assert.equal(localStorage.getItem(`chat-draft|${key}`), null)
})
