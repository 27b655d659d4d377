// The browser's clients of a run, all in one page: the modules that the site's own pages use, with a witness beside
// each. What they do comes from Python (torture/browser_client.py); what happens to them is told there in batches.

import { ChatClient } from "/torture/chat/js/client.js"

const TELL_MS = 100
const LOOK_MS = 50

const people = new Map()
let notes = []

/** Notes what happened, with the time, so that what is told late is not taken for late. */
const note = (name, kind, fields) => notes.push({ name, kind, at: performance.now(), ...fields })

setInterval(() => {
  if (!notes.length) return
  const now = performance.now()
  const told = notes.map(({ at, ...rest }) => ({ ...rest, age: now - at }))
  notes = []
  globalThis.tell(told)
}, TELL_MS)

/** A WebSocket whose commands and answers are noted as they pass, whatever the client makes of them. */
const observed = (name) =>
  class extends WebSocket {
    #posts = new Map()

    constructor(...options) {
      super(...options)
      this.addEventListener("message", ({ data }) => [JSON.parse(data)].flat().forEach((event) => this.#heard(event)))
      this.addEventListener("close", ({ code }) => note(name, "closed", { code }))
    }

    send(data) {
      for (const command of [JSON.parse(data)].flat()) {
        if (command.type === "message.post") this.#posts.set(command.ref, command)
        if (command.type === "sync") note(name, "sync", { rooms: Object.keys(command.rooms) })
      }
      super.send(data)
    }

    #heard(event) {
      const { type, room, epoch, seq, reason } = event
      if (type === "hello") note(name, "live", {})
      if (type === "synced") note(name, "synced", { room, epoch, seq })
      if (type === "reset") note(name, "reset", { room, epoch, seq, reason })
      if (type !== "reply" || !this.#posts.has(event.ref)) return
      const post = this.#posts.get(event.ref)
      this.#posts.delete(event.ref)
      if (event.ok) note(name, "ok", { room: post.room, id: post.client_id, result: event.result })
      else if (!event.error.retry) note(name, "fail", { room: post.room, id: post.client_id, code: event.error.code })
    }
  }

/** One person's client, and what it has shown so far. */
class Person {
  #name
  #rooms
  #seen = new Map()
  #dirty = new Set()
  #timer

  constructor({ name, user, token, url, rooms }) {
    this.#name = name
    this.#rooms = new Set(rooms)
    this.client = new ChatClient({ url, user, token, Transport: observed(name) })
    this.client.rooms.on("added", (room) => this.#open(room))
  }

  async start() {
    await this.client.start()
    for (const id of this.#rooms) this.#open(this.client.rooms.get(id))
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
  }

  stop() {
    clearInterval(this.#timer)
    this.client.stop()
  }

  async post(room, body) {
    await this.client.post(room, body)
  }

  heads() {
    const found = {}
    for (const room of this.#each()) {
      const { timeline, cursor } = room
      const isWhole = timeline.isLoaded && timeline.reachesNewest && !timeline.holes.length && !room.isLoading
      if (room.access === "live" && isWhole) found[room.id] = [cursor.epoch, cursor.seq]
    }
    return found
  }

  waiting() {
    const found = {}
    for (const id of this.#rooms) {
      const ids = this.client.pending(id).filter((each) => each.state !== "stored").map((each) => each.clientId)
      if (ids.length) found[id] = ids
    }
    return found
  }

  views() {
    this.#look()
    return [...this.#each()].map((room) => ({
      room: room.id,
      isLive: room.access === "live" && room.timeline.reachesNewest,
      first: room.timeline.from,
      messages: room.timeline.messages.map(stateOf),
    }))
  }

  #each() {
    return [...this.#rooms].map((id) => this.client.rooms.get(id))
  }

  #open(room) {
    if (!this.#rooms.has(room.id)) return
    room.on("change", () => this.#dirty.add(room.id))
    room.open()
    this.#dirty.add(room.id)
  }

  /** Notes what the rooms show now and did not show before. */
  #look() {
    for (const id of this.#dirty) {
      const seen = this.#seen.get(id) ?? new Map()
      this.#seen.set(id, seen)
      for (const message of this.client.rooms.get(id).timeline.messages) {
        const before = seen.get(message.number)
        if (before === message.changedSeq) continue
        seen.set(message.number, message.changedSeq)
        note(this.#name, before === undefined ? "show" : "change", { room: id, message: stateOf(message) })
      }
    }
    this.#dirty.clear()
  }
}

const stateOf = (message) => ({
  id: message.id,
  number: message.number,
  seq: message.seq,
  changed: message.changedSeq,
  author: message.author?.id ?? null,
  client_id: message.clientId,
  body: message.body,
  reply_to: message.replyTo?.number ?? null,
  reactions: message.reactions.map(({ emoji, count }) => [emoji, count]),
  is_deleted: message.deletedAt !== null,
})

/** Runs a request, and returns its result or the code of its refusal: exceptions lose their code on the way. */
const answer = async (work) => {
  try {
    return { result: (await work) ?? null }
  } catch (error) {
    return { refused: error.code ?? String(error) }
  }
}

globalThis.crowd = {
  async start(options) {
    people.get(options.name)?.stop()
    const person = new Person(options)
    people.set(options.name, person)
    await person.start()
  },
  stop(name) {
    people.get(name)?.stop()
    people.delete(name)
  },
  isLive: (name) => people.get(name)?.client.isLive ?? false,
  /** Returns the client_id that the message has got. */
  async post(name, room, body) {
    const { client } = people.get(name)
    // An item may be sent and answered before `post` returns: then it is gone from the outbox.
    const ids = new Set()
    const watch = client.on("outbox", () => client.pending(room).forEach((each) => each.body === body && ids.add(each.clientId)))
    await client.post(room, body)
    client.pending(room).forEach((each) => each.body === body && ids.add(each.clientId))
    watch?.()
    return [...ids][0] ?? null
  },
  heads: (name) => people.get(name)?.heads() ?? {},
  waiting: (name) => people.get(name)?.waiting() ?? {},
  views: (name) => people.get(name)?.views() ?? [],
  edit: (name, message, body) => answer(people.get(name).client.edit(message, body)),
  delete: (name, message) => answer(people.get(name).client.delete(message)),
  react: (name, room, message, emoji, on) => answer(people.get(name).client.react(room, message, emoji, on)),
  join: (name, room) => answer(people.get(name).client.join(room).then(() => null)),
  leave: (name, room) => answer(people.get(name).client.leave(room)),
}
