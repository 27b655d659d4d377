// A model of the server in memory, with one room and several people, behind a bad network. A seed decides which live
// events are lost, repeated or delayed, which connections are cut, and which replies are missing or garbled. The model
// keeps what the protocol promises: replies after commit, catch-ups in order, one message per client id.

const PEOPLE = ["ana", "ben"]
const ROOM = "1"
const HOLLOW = [{ ok: true, result: null }, { ok: true, result: {} }, { ok: true, result: "x" }, { ok: false, error: { retry: false } }, { ok: null }]

export class ModelServer {
  epoch = "e1"
  head = 0
  /** The runs of the database: the first seq of each, and its id. */
  runs = [[0, "r1"]]
  messages = []
  faults = { lost: 0, repeated: 0, delayed: 0, cut: 0, overtaken: 0, unanswered: 0, refused: 0, hollow: 0, lostTail: 0 }
  isUp = true
  isCalm = false
  #begun = 1
  #connections = new Set()
  #clock

  constructor(clock) {
    this.#clock = clock
  }

  /** The class that a client gets instead of WebSocket. */
  transportOf(person) {
    const server = this
    return class {
      constructor() {
        server.#connect(this, person)
      }

      send(frame) {
        server.#later(() => server.#handle(this, JSON.parse(frame)))
      }

      close() {
        server.#connections.delete(this)
      }
    }
  }

  chance(share) {
    return !this.isCalm && this.#clock.random() < share
  }

  /** Ends all connections; what was on its way is gone. */
  crash() {
    for (const each of [...this.#connections]) this.#cut(each)
  }

  restore() {
    this.epoch = `e${Number(this.epoch.slice(1)) + 1}`
    for (const each of this.#connections) if (each.isLive) this.#tell(each, this.#reset("epoch", each))
  }

  /** The server reconnects to its database, so a new run begins; nothing is lost. */
  beginRun() {
    this.runs.push([this.head + 1, `r${(this.#begun += 1)}`])
  }

  /** @returns {() => boolean} the database loses what was posted since, if nothing else has changed; whether it did */
  mayLose() {
    const { head, runs, messages } = this
    const [kept, begun] = [messages.length, runs.length]
    return () => {
      const lost = messages.slice(kept)
      if (!lost.length || this.head !== head + lost.length || lost.some(({ author }) => author.id !== "bot")) return false
      messages.length = kept
      runs.length = begun
      this.head = head
      this.beginRun()
      this.faults.lostTail += 1
      for (const each of this.#connections) if (each.isLive) this.#tell(each, this.#reset("epoch", each))
      return true
    }
  }

  #runAt(seq) {
    return this.runs.findLast(([first]) => first <= seq)[1]
  }

  beat() {
    for (const each of this.#connections) {
      if (each.isLive) this.#tell(each, { type: "heads", rooms: { [ROOM]: each.passed }, rooms_version: 1, server_time: this.#time() })
    }
  }

  post(author, clientId, body) {
    const held = this.messages.find((each) => each.author.id === author && each.client_id === clientId)
    if (held) return { message: held, duplicate: true }
    const message = {
      id: String(1000 + this.messages.length), room: ROOM, number: this.messages.length + 1, seq: this.head + 1, author: user(author),
      client_id: clientId, body, html: body, kind: "text", reply_to: null, attachments: [], reactions: [], mentions: [],
      created_at: this.#time(), edited_at: null, deleted_at: null,
    }
    this.messages.push(message)
    this.#commit(message, "message.posted")
    return { message, duplicate: false }
  }

  edit(message, body) {
    Object.assign(message, { body, html: body, edited_at: this.#time() })
    this.#commit(message, "message.changed")
  }

  #commit(message, type) {
    this.head += 1
    message.changed_seq = this.head
    const run = this.#runAt(this.head) === this.#runAt(this.head - 1) ? undefined : this.#runAt(this.head)
    for (const each of this.#connections) if (each.isLive) this.#push(each, { type, room: ROOM, seq: this.head, run, message: { ...message } })
  }

  #push(connection, event) {
    connection.passed = event.seq
    if (this.chance(0.08)) return void (this.faults.lost += 1)
    if (this.chance(0.05)) {
      this.faults.repeated += 1
      this.#tell(connection, event)
    }
    if (this.chance(0.1)) {
      this.faults.delayed += 1
      const { lostTail } = this.faults
      // What the database has lost meanwhile is not sent any more: the hub has left that history.
      return this.#later(() => lostTail === this.faults.lostTail && this.#tell(connection, event), 100 + this.#clock.random() * 4000)
    }
    this.#tell(connection, event)
  }

  #connect(connection, person) {
    Object.assign(connection, { person, isLive: false, passed: 0, arrives: 0 })
    this.#later(() => {
      if (!this.isUp || this.chance(0.2)) return connection.onclose({ code: 1006 })
      this.#connections.add(connection)
      // What hello speaks of: a server watches over it until the room is synced.
      connection.greeted = this.#position()
      connection.onopen()
      this.#tell(connection, {
        type: "hello", protocol: 1, user: user(person), server: "s", heartbeat_s: 5, flow: null, rooms_version: 1, rooms: [this.#state()],
        limits: { frame_bytes: 65536, body_chars: 10000, sync_rooms: 500, history: 100, catch_up: 30, unanswered: 32 },
      })
    })
  }

  #cut(connection) {
    this.faults.cut += 1
    this.#connections.delete(connection)
    connection.onclose({ code: 1006 })
  }

  #handle(connection, command) {
    if (!this.#connections.has(connection)) return
    // Cut before or after the command took effect: the client can't know which.
    if (this.chance(0.03)) return this.#cut(connection)
    const answer = this.#answer(connection, command)
    if (!command.ref) return
    if (this.chance(0.03)) return this.#cut(connection)
    if (this.chance(0.01)) return void (this.faults.unanswered += 1)
    const reply = { type: "reply", ref: command.ref, ok: !answer.error, ...(answer.error ? answer : { result: answer }) }
    if (this.chance(0.03)) {
      // The command has taken effect all the same.
      this.faults.hollow += 1
      Object.assign(reply, HOLLOW[Math.floor(this.#clock.random() * HOLLOW.length)])
    }
    if (command.type === "history" && this.chance(0.7)) {
      // Servers read history in another thread: live events overtake the page, which then shows an older state.
      this.faults.overtaken += 1
      return this.#later(() => this.#tell(connection, reply), this.#clock.random() * 3000)
    }
    this.#tell(connection, reply)
  }

  #answer(connection, { type, ...fields }) {
    if (type === "sync") return this.#sync(connection, fields.rooms[ROOM])
    if (type === "history") return this.#history(fields)
    if (type !== "message.post") return {}
    if (this.chance(0.1)) {
      this.faults.refused += 1
      return { error: { code: "server.busy", message: "busy", retry: true, retry_after_ms: 500 } }
    }
    if (fields.body.startsWith("bad")) return { error: { code: "message.forbidden", message: "no", retry: false } }
    const { message, duplicate } = this.post(connection.person, fields.client_id, fields.body)
    return { id: message.id, number: message.number, seq: message.seq, epoch: this.epoch, created_at: message.created_at, duplicate }
  }

  #isOfAnother({ epoch, seq, run }) {
    return epoch !== this.epoch || seq > this.head || (run !== undefined && run !== this.#runAt(seq))
  }

  #sync(connection, cursor) {
    const changed = cursor ? this.messages.filter((each) => each.changed_seq > cursor.seq) : []
    const reason = !cursor ? "new" : this.#isOfAnother(cursor) || this.#isOfAnother(connection.greeted) ? "epoch" : changed.length > 30 ? "too_far" : null
    connection.isLive = true
    if (reason) {
      this.#tell(connection, this.#reset(reason, connection))
      return { rooms: { [ROOM]: "reset" } }
    }
    const inOrder = changed.sort((a, b) => a.changed_seq - b.changed_seq)
    for (let from = 0; from < inOrder.length; from += 7) {
      const messages = inOrder.slice(from, from + 7).map((each) => ({ ...each }))
      this.#tell(connection, { type: "changes", room: ROOM, epoch: this.epoch, messages, mine: {}, members: [], state: null })
    }
    connection.passed = this.head
    this.#tell(connection, { type: "synced", room: ROOM, ...this.#position() })
    return { rooms: { [ROOM]: "live" } }
  }

  #reset(reason, connection) {
    connection.passed = this.head
    return { type: "reset", room: ROOM, ...this.#position(), reason, state: this.#state() }
  }

  #history({ before = Infinity }) {
    const older = this.messages.filter(({ number }) => number < before)
    return {
      messages: older.slice(-10).map((each) => ({ ...each })), mine: {}, more_before: older.length > 10,
      more_after: older.length < this.messages.length, ...this.#position(),
    }
  }

  /** One connection's frames arrive in the order sent, each a little later. */
  #tell(connection, event) {
    connection.arrives = Math.max(connection.arrives, this.#clock.now() + this.#clock.random() * 60)
    this.#clock.after(() => {
      if (this.#connections.has(connection)) connection.onmessage({ data: JSON.stringify(event) })
    }, connection.arrives - this.#clock.now())
  }

  #later(work, ms = this.#clock.random() * 60) {
    this.#clock.after(work, ms)
  }

  #position() {
    return { epoch: this.epoch, seq: this.head, run: this.#runAt(this.head) }
  }

  #state() {
    return {
      id: ROOM, slug: "lobby", name: "Lobby", kind: "open", topic: "", archived: false, member_count: PEOPLE.length, last_message_at: null,
      ...this.#position(), last_number: this.messages.length, read: 0, unread: this.messages.length, mentions: 0, rev: 0,
      role: "member", notify: "all", online: null,
    }
  }

  #time() {
    return new Date(this.#clock.now()).toISOString()
  }
}

const user = (id) => ({ id, name: id, avatar: null })
