// The tabs of one person share an outbox, and the one that holds a Web Lock sends. When it closes or crashes, the lock
// goes to the next tab. From a tab that is asleep or offline, a connected one takes it.

import { Emitter } from "./emitter.js"

const PATIENCE_MS = 3_000

/** Emits `lead` when this tab becomes the sender, and `news` with what another tab has told. */
export class Tabs extends Emitter {
  #name
  #clock
  #locks
  #channel
  #leads = false
  #queued = null
  /** @type {(value?: any) => void} */
  #release = () => {}
  #claim = null
  #isLive

  /**
   * @param {object} options
   * @param {string} options.name the same in all tabs of one person on one site
   * @param {import("./clock.js").Clock} options.clock
   * @param {() => boolean} options.isLive whether this tab has a connection
   * @param {LockManager | undefined} [options.locks] absent on pages without TLS, and refused by a browser that is set
   *   to store nothing: then every tab sends. That costs repeats, which the server answers as such. The order holds,
   *   because no tab sends a message before the one ahead of it is stored.
   * @param {typeof BroadcastChannel} [options.Channel]
   */
  constructor({ name, clock, isLive, locks = globalThis.navigator?.locks, Channel = globalThis.BroadcastChannel }) {
    super()
    this.#name = name
    this.#clock = clock
    this.#locks = locks
    this.#isLive = isLive
    try {
      this.#channel = new Channel(name)
      this.#channel.onmessage = ({ data }) => this.#heard(data)
    } catch {
      // Forbidden where the page may store nothing: then it has nothing to share with other tabs.
      this.#channel = null
      this.#locks = null
    }
  }

  get leads() {
    return this.#leads
  }

  // Lifecycle

  start() {
    if (this.#locks) this.#queue()
    else this.#take()
  }

  stop() {
    this.#leads = false
    this.#queued?.abort()
    this.#release()
    this.#endClaim()
    this.#channel?.close()
  }

  // Actions

  tell(news) {
    this.#channel?.postMessage({ news })
  }

  /**
   * Call this when this tab has something to send and a connection. It takes over when the sender says that it has
   * none, or has not answered for 3 s.
   */
  claim() {
    if (this.#leads || this.#claim !== null || !this.#locks) return
    this.#channel.postMessage({ whoSends: true })
    this.#claim = this.#clock.after(() => this.takeOver(), PATIENCE_MS)
  }

  /** Becomes the sender, whatever the present one says. Without a connection it does nothing. */
  takeOver() {
    this.#endClaim()
    if (this.#locks && this.#isLive() && !this.#leads) this.#hold({ steal: true })
  }

  // Internal

  #heard({ news, whoSends, iSend }) {
    if (whoSends && this.#leads) this.#channel.postMessage({ iSend: this.#isLive() })
    if (iSend) this.#endClaim()
    else if (iSend === false && this.#claim !== null) this.takeOver()
    if (news) this.emit("news", news)
  }

  #endClaim() {
    this.#clock.cancel(this.#claim)
    this.#claim = null
  }

  #queue() {
    this.#queued = new AbortController()
    this.#hold({ signal: this.#queued.signal })
  }

  async #hold(how) {
    if (how.steal) this.#queued?.abort()
    let isHeld = false
    try {
      await this.#locks.request(this.#name, how, () => {
        isHeld = true
        this.#take()
        return new Promise((resolve) => (this.#release = resolve))
      })
    } catch (error) {
      if (error.name !== "AbortError") {
        this.#locks = null
        return this.#take()
      }
      // This tab gave its request up before it had the lock: nothing to do. If another tab took the lock: queue again.
      if (!isHeld) return
      this.#leads = false
      this.#queue()
    }
  }

  #take() {
    this.#leads = true
    this.emit("lead")
  }
}
