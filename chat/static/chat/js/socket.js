// A WebSocket connection that reconnects by itself (docs/protocol.md, sections 1 and 5). It handles frames, replies,
// heartbeats and retries; room.js, rooms.js and outbox.js know what the events mean.

import { Backoff } from "./backoff.js"
import { Emitter } from "./emitter.js"
import { Close, PROTOCOL_VERSION, SUBPROTOCOL, decode, encode, frameBytes, mayReconnect } from "./protocol.js"
import { FlowControl } from "./flow-control.js"
import { HeldReads } from "./held-reads.js"
import { Requests, disconnected } from "./requests.js"

const HELLO_WAIT_MS = 2_000
/** How long a connection may take to reach `hello`. A server that takes thousands of clients back needs a while. */
const OPENING_MS = 30_000
const HEARTBEATS_MISSED = 2.5
/** How long a request waits at most for a connection that is being opened. */
const SOON_MS = 5_000
/** How long a connection has to show that it is alive after the network was away. */
const PROBE_MS = 3_000
/** How long a server may stay silent after it was asked why it does not answer. */
const HUNG_MS = 5_000

/** @typedef {{name: "idle" | "connecting" | "live"} | {name: "waiting", until: number} |
 *   {name: "stopped", code: number}} ConnectionState */

/**
 * Emits `state` (ConnectionState), `hello` (the event) and `event` (every other event, in order).
 */
export class Socket extends Emitter {
  #url
  #token
  #clock
  #Transport
  #network
  #backoff
  /** @type {WebSocket | null} the connection that counts; an older one is ignored from the moment it is replaced */
  #transport = null
  /** @type {ConnectionState} */
  #state = { name: "idle" }
  #requests = null
  #held
  #flow = null
  #heartbeatMs = 0
  /** If nothing arrives before this time, the connection is dead. */
  #deadAt = Infinity
  #timers = { deadline: null, hello: null, retry: null, drain: null }
  #drainUntil = null
  #triedFreshToken = false
  /** Whether the server answers a ping past all that waits: an older one answers it in its turn, which proves nothing. */
  #answersPings = false
  #isProbed = false
  /** Whether the network was away since the connection was opened or last probed. */
  #isSuspect = false
  #networkEvents = { online: () => this.#cameBack(), offline: () => (this.#isSuspect = true) }

  /**
   * @param {object} options
   * @param {string} options.url ws: or wss:
   * @param {string | (() => Promise<string>) | null} [options.token] for pages of another site; a function is called
   *   for a fresh one at each connection. Without a token, the session cookie signs in.
   * @param {import("./clock.js").Clock} options.clock
   * @param {typeof WebSocket} [options.Transport]
   * @param {EventTarget} [options.network] emits "online" and "offline"; `window` in a page
   */
  constructor({ url, token = null, clock, Transport = globalThis.WebSocket, network = globalThis }) {
    super()
    this.#url = url
    this.#token = token
    this.#clock = clock
    this.#Transport = Transport
    this.#network = network
    this.#backoff = new Backoff(clock)
    this.#held = { reads: new HeldReads(clock), syncs: new HeldReads(clock) }
  }

  // Lifecycle

  connect() {
    for (const [name, heard] of Object.entries(this.#networkEvents)) this.#network.addEventListener(name, heard)
    this.#open()
  }

  disconnect() {
    for (const [name, heard] of Object.entries(this.#networkEvents)) this.#network.removeEventListener(name, heard)
    this.#drop(1000)
    this.#become({ name: "idle" })
  }

  // Actions

  get state() {
    return this.#state
  }

  get isLive() {
    return this.#state.name === "live"
  }

  /** Reconnects at once if it waits to, or has died unnoticed: the network or the page is back, or a person asked. */
  retryNow() {
    // Timers don't run while the machine sleeps or a phone suspends the page.
    if (this.isLive && this.#clock.now() > this.#deadAt) this.#lost(Close.heartbeatMissed)
    if (this.#state.name === "waiting") this.#open()
  }

  /** Sends a command that gets no reply. It is silently dropped when there is no connection. */
  tell(command) {
    if (this.isLive) this.#transport.send(encode(command))
  }

  /**
   * Sends a command; resolves with its result. While a connection is being opened it waits for that: people may click
   * as soon as they see the page.
   * @throws {ChatError} the server's refusal, or `client.disconnected` / `client.no_reply`: outcome unknown, retry
   */
  async request(command) {
    if (this.#state.name === "connecting") await this.#settled()
    if (!this.isLive) throw disconnected()
    return this.#requests.ask(command)
  }

  // Callbacks

  async #opened(transport) {
    if (!this.#token) {
      // A valid cookie brings `hello` at once. If none comes, ask: the server closes with 4501 if nobody is signed in.
      this.#timers.hello = this.#clock.after(() => this.#authenticate(null), HELLO_WAIT_MS)
      return
    }
    const token = typeof this.#token === "function" ? await this.#token().catch(() => null) : this.#token
    if (transport === this.#transport) this.#authenticate(token)
  }

  #received(transport, frame) {
    if (transport !== this.#transport) return
    this.#expectMore()
    let events
    try {
      events = decode(frame)
    } catch (error) {
      // What was in the frame is lost. Only a new connection, with its syncs and repeats, is sure to bring it.
      reportError(error)
      return this.#lost()
    }
    for (const event of events) {
      if (transport !== this.#transport) return
      this.#dispatch(event)
    }
    this.#flow.took(frameBytes(frame))
  }

  #dispatch(event) {
    if (event.type === "reply") return this.#requests.answered(event)
    if (event.type === "hello") return this.#greeted(event)
    if (event.type === "drain") this.#drain(event.reconnectInMs)
    this.emit("event", event)
  }

  #greeted(hello) {
    if (hello.protocol !== PROTOCOL_VERSION) return this.#closed(this.#transport, Close.unsupported)
    this.#clock.cancel(this.#timers.hello)
    this.#requests.limit = hello.limits.unanswered
    this.#heartbeatMs = hello.heartbeatS * 1000 * HEARTBEATS_MISSED
    this.#answersPings = hello.features.includes("ping")
    this.#flow.flow = hello.flow
    this.#triedFreshToken = false
    this.#backoff.live()
    this.#expectMore()
    this.#become({ name: "live" })
    this.emit("hello", hello)
  }

  /** The device has a network again. A connection from before may be dead, or never open. */
  #cameBack() {
    if (this.#isSuspect && this.#state.name === "connecting") return this.#open()
    this.retryNow()
    if (this.#isSuspect && this.isLive) this.#probe()
  }

  #closed(transport, code) {
    if (transport !== this.#transport) return
    if (code === Close.notSignedIn && typeof this.#token === "function" && !this.#triedFreshToken) {
      this.#triedFreshToken = true
    } else if (!mayReconnect(code)) {
      this.#drop(1000)
      return this.#become({ name: "stopped", code })
    }
    this.#lost()
  }

  // Internal

  #open() {
    this.#drop(1000)
    this.#drainUntil = null
    this.#isSuspect = false
    const send = (frame) => this.#transport.send(frame)
    this.#requests = new Requests(this.#clock, send, () => this.#overdue(), this.#held)
    this.#flow = new FlowControl(this.#clock, (frames) => this.tell({ type: "received", frames }))
    const transport = (this.#transport = new this.#Transport(this.#url, [SUBPROTOCOL]))
    transport.onopen = () => transport === this.#transport && this.#opened(transport)
    transport.onmessage = ({ data }) => this.#received(transport, data)
    transport.onclose = ({ code }) => this.#closed(transport, code)
    this.#timers.deadline = this.#clock.after(() => this.#lost(), OPENING_MS)
    this.#become({ name: "connecting" })
  }

  /** Resolves when the connection being opened changes its state, or takes too long. */
  #settled() {
    return new Promise((resolve) => {
      const end = this.on("state", () => done())
      const timer = this.#clock.after(() => done(), SOON_MS)
      const done = () => {
        end()
        this.#clock.cancel(timer)
        resolve()
      }
    })
  }

  /** A refusal is followed by a close code, success by `hello`: the reply itself says nothing new. */
  #authenticate(token) {
    this.#requests.ask({ type: "auth", token }).catch(() => {})
  }

  /** Any frame proves life; after too long a silence the connection counts as dead, whatever the browser says. */
  #expectMore() {
    if (!this.#heartbeatMs) return
    this.#isProbed = false
    this.#clock.cancel(this.#timers.deadline)
    this.#timers.deadline = this.#clock.after(() => this.#lost(Close.heartbeatMissed), this.#heartbeatMs)
    this.#deadAt = this.#clock.now() + this.#heartbeatMs
  }

  /** Sends a ping. Any frame shows that the connection is alive; after silence a new one is opened at once. */
  #probe() {
    this.#isSuspect = false
    this.#askForLife(PROBE_MS, () => {
      this.#lost(Close.heartbeatMissed)
      this.#open()
    })
  }

  /** A command has had no answer for long. A server that hangs is left; one whose database is slow is waited for. */
  #overdue() {
    if (this.isLive && this.#answersPings && !this.#isProbed) this.#askForLife(HUNG_MS, () => this.#lost(Close.heartbeatMissed))
  }

  #askForLife(ms, dead) {
    this.#isProbed = true
    this.#requests.ping()
    this.#clock.cancel(this.#timers.deadline)
    this.#timers.deadline = this.#clock.after(dead, ms)
  }

  #drain(reconnectInMs) {
    this.#drainUntil = this.#clock.now() + reconnectInMs
    this.#timers.drain = this.#clock.after(() => this.#open(), reconnectInMs)
  }

  /** Gives the connection up and schedules the next. What is unanswered has an unknown outcome. */
  #lost(code = 1000) {
    const drainUntil = this.#drainUntil
    this.#drop(code)
    const now = this.#clock.now()
    const until = drainUntil ?? now + this.#backoff.nextMs()
    this.#timers.retry = this.#clock.after(() => this.#open(), Math.max(0, until - now))
    this.#become({ name: "waiting", until })
  }

  #drop(code) {
    Object.values(this.#timers).forEach((timer) => this.#clock.cancel(timer))
    this.#flow?.stop()
    this.#heartbeatMs = 0
    this.#isProbed = false
    const transport = this.#transport
    this.#transport = null
    if (transport) this.#backoff.closed()
    transport?.close(code)
    this.#requests?.abandon()
  }

  #become(state) {
    this.#state = state
    this.emit("state", state)
  }
}
