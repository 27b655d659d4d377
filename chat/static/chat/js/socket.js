// One connection that keeps coming back (docs/protocol.md, sections 1 and 5). It knows frames, replies, heartbeats
// and when to try again; what the events mean is for room.js, rooms.js and outbox.js.

import { Backoff } from "./backoff.js"
import { Emitter } from "./emitter.js"
import { Close, PROTOCOL_VERSION, SUBPROTOCOL, decode, encode, frameBytes, mayReconnect } from "./protocol.js"
import { FlowControl } from "./flow-control.js"
import { Requests, disconnected } from "./requests.js"

const HELLO_WAIT_MS = 2_000
/** From the first byte to `hello`; a server that takes thousands of clients back at once needs a while. */
const OPENING_MS = 30_000
const HEARTBEATS_MISSED = 2.5
/** Who wants something of a connection that is being made waits no longer for it. */
const SOON_MS = 5_000
/** A connection that the network may have taken with it has so long to show that it lives. */
const PROBE_MS = 3_000

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
  #flow = null
  #heartbeatMs = 0
  /** From then on, silence means that the connection is dead. */
  #deadAt = Infinity
  #timers = { deadline: null, hello: null, retry: null, drain: null }
  #drainUntil = null
  #triedFreshToken = false
  /** The network was away since the connection was opened. */
  #isSuspect = false
  #networkEvents = { online: () => this.#cameBack(), offline: () => (this.#isSuspect = true) }

  /**
   * @param {object} options
   * @param {string} options.url ws: or wss:
   * @param {string | (() => Promise<string>) | null} [options.token] for pages of another site; a function is asked
   *   for a fresh one at each connection. Without one, the session cookie signs in.
   * @param {import("./clock.js").Clock} options.clock
   * @param {typeof WebSocket} [options.Transport]
   * @param {EventTarget} [options.network] says "online" and "offline"; `window` in a page
   */
  constructor({ url, token = null, clock, Transport = globalThis.WebSocket, network = globalThis }) {
    super()
    this.#url = url
    this.#token = token
    this.#clock = clock
    this.#Transport = Transport
    this.#network = network
    this.#backoff = new Backoff(clock)
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

  /** Connects at once if it is waiting to, or should be: the network or the page came back, or a person asked. */
  retryNow() {
    // While a machine slept, or a phone had put the page aside, no timer ran.
    if (this.isLive && this.#clock.now() > this.#deadAt) this.#lost(Close.heartbeatMissed)
    if (this.#state.name === "waiting") this.#open()
  }

  /** Sends what gets no reply. Lost without a word when there is no connection. */
  tell(command) {
    if (this.isLive) this.#transport.send(encode(command))
  }

  /**
   * Sends a command; resolves with its result. While a connection is being made it waits for that: what somebody clicks
   * on as soon as they see it must not come too early.
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
      // A cookie is greeted at once. No greeting: ask, and be told with 4501 that nobody is signed in.
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
      // What was in it is lost; only a new connection, with its syncs and repeats, brings it for certain.
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
    this.#flow.flow = hello.flow
    this.#triedFreshToken = false
    this.#backoff.live()
    this.#expectMore()
    this.#become({ name: "live" })
    this.emit("hello", hello)
  }

  /** The device has a network again. What was open before may be dead, or be one that never opens. */
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
    this.#requests = new Requests(this.#clock, (frame) => this.#transport.send(frame))
    this.#flow = new FlowControl(this.#clock, (frames) => this.tell({ type: "received", frames }))
    const transport = (this.#transport = new this.#Transport(this.#url, [SUBPROTOCOL]))
    transport.onopen = () => transport === this.#transport && this.#opened(transport)
    transport.onmessage = ({ data }) => this.#received(transport, data)
    transport.onclose = ({ code }) => this.#closed(transport, code)
    this.#timers.deadline = this.#clock.after(() => this.#lost(), OPENING_MS)
    this.#become({ name: "connecting" })
  }

  /** Resolves when the connection that is being made is in another state, or takes too long for that. */
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
    this.#clock.cancel(this.#timers.deadline)
    this.#timers.deadline = this.#clock.after(() => this.#lost(Close.heartbeatMissed), this.#heartbeatMs)
    this.#deadAt = this.#clock.now() + this.#heartbeatMs
  }

  /** Any frame ends the wait for one; silence is answered with a new connection at once. */
  #probe() {
    this.#isSuspect = false
    this.#requests.ask({ type: "ping" }).catch(() => {})
    this.#clock.cancel(this.#timers.deadline)
    this.#timers.deadline = this.#clock.after(() => {
      this.#lost(Close.heartbeatMissed)
      this.#open()
    }, PROBE_MS)
  }

  #drain(reconnectInMs) {
    this.#drainUntil = this.#clock.now() + reconnectInMs
    this.#timers.drain = this.#clock.after(() => this.#open(), reconnectInMs)
  }

  /** The connection is gone or given up: what is unanswered has an unknown outcome; come back later. */
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
