import { MemoryStore } from "/chat/js/memory-store.js"
import { Outbox } from "/chat/js/outbox.js"
import { Tabs } from "/chat/js/tabs.js"
import { FakeClock, settle } from "./fake-clock.js"
import { assert, test } from "./runner.js"

/** The tabs of one browser, with their lock and their channel. */
function browser({ hasLocks = true } = {}) {
  const channels = new Set()
  class Channel {
    constructor() { channels.add(this) }
    postMessage(data) { for (const each of channels) if (each !== this) queueMicrotask(() => each.onmessage({ data })) }
    close() { channels.delete(this) }
  }
  let held = null
  const queue = []
  const next = () => held === null && queue.length && grant(queue.shift())
  const grant = ({ work, resolve, reject }) => {
    const holder = (held = { lose: () => reject(new DOMException("stolen", "AbortError")) })
    work().then(() => (held === holder && ((held = null), next()), resolve()))
  }
  const locks = {
    request: (_, { steal, signal }, work) => new Promise((resolve, reject) => {
      const waiting = { work, resolve, reject }
      signal?.addEventListener("abort", () => {
        if (queue.includes(waiting)) queue.splice(queue.indexOf(waiting), 1)
        reject(signal.reason)
      })
      if (steal) held?.lose()
      if (steal) grant(waiting)
      else queue.push(waiting) && next()
    }),
  }
  const clock = new FakeClock()
  const tab = () => {
    const state = { isLive: true }
    const tabs = new Tabs({ name: "x", clock, isLive: () => state.isLive, locks: hasLocks ? locks : null, Channel })
    return Object.assign(state, { tabs })
  }
  return { tab, clock, Channel }
}

test("a sender without a connection hands over at once, and queues for the lock again", async () => {
  const { tab, clock } = browser()
  const [one, two] = [tab(), tab()]
  one.tabs.start()
  two.tabs.start()
  two.tabs.claim()
  await clock.advance(10)
  assert.equal([one.tabs.leads, two.tabs.leads], [true, false], "it has a connection")
  one.isLive = false
  two.tabs.claim()
  await settle()
  assert.equal([one.tabs.leads, two.tabs.leads], [false, true])
  one.isLive = true
  two.tabs.stop()
  await settle()
  assert.equal(one.tabs.leads, true)
})

test("a sender that sleeps loses its place after a while", async () => {
  const { tab, clock, Channel } = browser()
  const [one, two] = [tab(), tab()]
  one.tabs.start()
  two.tabs.start()
  Channel.prototype.postMessage = () => {}
  two.tabs.claim()
  await clock.advance(2_999)
  assert.equal([one.tabs.leads, two.tabs.leads], [true, false])
  await clock.advance(1)
  assert.equal([one.tabs.leads, two.tabs.leads], [false, true])
})

test("without locks every tab sends, and messages are stored in the order written", async () => {
  const { tab, clock } = browser({ hasLocks: false })
  const store = new MemoryStore()
  const stored = new Map()
  const request = async ({ clientId, body }) => {
    await new Promise((resolve) => clock.after(resolve, clock.random() * 100))
    if (!stored.has(clientId)) stored.set(clientId, body)
    await new Promise((resolve) => clock.after(resolve, clock.random() * 100))
    return { epoch: "e", seq: stored.size }
  }
  const options = { owner: "o", store, clock, request, limits: () => ({ frameBytes: 4_000, bodyChars: 100 }) }
  const outboxes = [tab(), tab()].map(({ tabs }) => new Outbox({ ...options, tabs }))
  for (const each of outboxes) {
    await each.start()
    each.connected()
  }
  const wanted = Array.from({ length: 12 }, (_, number) => `${number}`)
  for (const body of wanted) await outboxes[Number(body) % 2].add({ room: "1", body })
  await clock.advance(10_000)
  assert.equal([...stored.values()], wanted)
  assert.equal(await store.list("o"), [])
})

test("where the browser grants no locks this tab sends", async () => {
  const { Channel, clock } = browser()
  const locks = { request: () => Promise.reject(new DOMException("denied", "SecurityError")) }
  const tabs = new Tabs({ name: "x", clock, isLive: () => true, locks, Channel })
  let leads = 0
  tabs.on("lead", () => (leads += 1))
  tabs.start()
  await settle()
  assert.equal([tabs.leads, leads], [true, 1])
})

test("where the browser forbids a channel between tabs this tab sends", async () => {
  const { clock } = browser()
  class Channel { constructor() { throw new DOMException("denied", "SecurityError") } }
  const tabs = new Tabs({ name: "x", clock, isLive: () => true, locks: { request: () => new Promise(() => {}) }, Channel })
  tabs.start()
  tabs.tell({ changed: "1" })
  assert.equal(tabs.leads, true)
  tabs.stop()
})
