// The tabs of one person share an outbox; one of them sends. The one that holds a Web Lock is it. The lock goes to the
// next tab when that one closes or dies; from one that is asleep or offline, a tab that is connected takes it.

import { Emitter } from "./emitter.js"

const PATIENCE_MS = 3_000

/** Emits `lead` when this tab becomes the sender, and `news` with what another tab told. */
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
   * @param {LockManager | undefined} [options.locks] absent on pages without TLS: then every tab sends. That costs
   *   repeats, which the server answers as such; order holds, for no tab sends a message before the one ahead is stored.
   *   The same where the browser refuses them, as it does when it is told to keep nothing.
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
      // Forbidden to a page that may keep nothing: then it keeps nothing that another tab must hear of.
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
   * There is something to send and a connection here: takes over as soon as the sender says that it has none, or when it
   * has said nothing for a while.
   */
  claim() {
    if (this.#leads || this.#claim !== null || !this.#locks) return
    this.#channel.postMessage({ whoSends: true })
    this.#claim = this.#clock.after(() => this.#takeOver(), PATIENCE_MS)
  }

  // Internal

  #heard({ news, whoSends, iSend }) {
    if (whoSends && this.#leads) this.#channel.postMessage({ iSend: this.#isLive() })
    if (iSend) this.#endClaim()
    else if (iSend === false && this.#claim !== null) this.#takeOver()
    if (news) this.emit("news", news)
  }

  #takeOver() {
    this.#endClaim()
    if (this.#isLive() && !this.#leads) this.#hold({ steal: true })
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
      // Given up by this tab before it had it: nothing to do. Taken by another one: stand in line again.
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
