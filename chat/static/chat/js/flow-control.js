/** Acknowledges frames with `received`, as often as `hello.flow` asks; null: never. */
export class FlowControl {
  /** @type {{frames: number, seconds: number, bytes: number} | null} as `hello` says; null: not wanted */
  flow = null
  #clock
  #send
  #frames = 0
  #acknowledged = 0
  #bytes = 0
  #timer = null

  /**
   * @param {import("./clock.js").Clock} clock
   * @param {(frames: number) => void} send gets the number of frames received since the connection opened
   */
  constructor(clock, send) {
    this.#clock = clock
    this.#send = send
  }

  /** Call this after handling each frame of the connection, from the first one on. */
  took(bytes) {
    this.#frames += 1
    this.#bytes += bytes
    if (!this.flow) return
    if (this.#frames - this.#acknowledged >= this.flow.frames || this.#bytes >= this.flow.bytes) this.#acknowledge()
    else this.#timer ??= this.#clock.after(() => this.#acknowledge(), this.flow.seconds * 1000)
  }

  stop() {
    this.#clock.cancel(this.#timer)
  }

  #acknowledge() {
    this.#clock.cancel(this.#timer)
    this.#timer = null
    this.#bytes = 0
    this.#acknowledged = this.#frames
    this.#send(this.#frames)
  }
}
