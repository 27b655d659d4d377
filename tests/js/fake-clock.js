/** A clock that a test moves on, with random numbers from a seed. @implements {import("/chat/js/clock.js").Clock} */
export class FakeClock {
  #now = 1_800_000_000_000
  #timers = new Map()
  #count = 0
  #seed

  constructor(seed = 1) {
    this.#seed = seed
  }

  now = () => this.#now

  after = (work, ms) => {
    this.#count += 1
    this.#timers.set(this.#count, { at: this.#now + Math.max(0, ms), work })
    return this.#count
  }

  cancel = (handle) => void this.#timers.delete(handle)

  /** mulberry32 */
  random = () => {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0
    let t = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  /** Lets the machine sleep: time passes, but not for the timers. */
  sleep(ms) {
    this.#now += ms
    for (const timer of this.#timers.values()) timer.at += ms
  }

  /** Fires timers in order, and all that they set off, until `ms` have passed. */
  async advance(ms) {
    const end = this.#now + ms
    await settle()
    for (;;) {
      const next = [...this.#timers].filter(([, { at }]) => at <= end).sort(([i, a], [j, b]) => a.at - b.at || i - j)[0]
      if (!next) break
      this.#timers.delete(next[0])
      this.#now = next[1].at
      next[1].work()
      await settle()
    }
    this.#now = end
  }
}

const { port1, port2 } = new MessageChannel()
const waiting = []
port1.onmessage = () => waiting.shift()()

/** Resolves after every microtask that is due. */
export const settle = () => new Promise((resolve) => {
  waiting.push(resolve)
  port2.postMessage(null)
})
