import { Close } from "../protocol.js"
import { partsOf } from "./dom.js"
import { fill } from "./templates.js"
import { texts } from "./texts.js"

/** A shorter interruption than this is not shown. */
const QUIET_MS = 1_500

/** Shows the state of the connection, but only when something is wrong. */
export class ConnectionBanner {
  #banner
  #client
  #timer = null
  #hadTrouble = false
  #problem = null
  #shown = null
  #ends = []
  #network = () => this.#update()

  constructor(banner, client) {
    this.#banner = banner
    this.#client = client
  }

  connect() {
    this.#ends = [
      this.#client.on("connection", () => this.#update()),
      this.#client.on("failure", (error) => {
        if (error.code === "client.other_user") this.#problem = [texts.otherUser, texts.reload]
        this.#update()
      }),
    ]
    for (const name of ["online", "offline"]) window.addEventListener(name, this.#network)
    this.#update()
  }

  disconnect() {
    this.#ends.forEach((end) => end())
    for (const name of ["online", "offline"]) window.removeEventListener(name, this.#network)
    this.#stopWaiting()
  }

  #update() {
    const { name, code } = this.#client.connection
    this.#banner.dataset.state = name
    const isTrying = name !== "live" && name !== "stopped" && !this.#problem
    if (!isTrying || !this.#banner.hidden) this.#stopWaiting()
    if (name === "live") this.#hadTrouble = true // the next "connecting" is a reconnect
    // The device knows at once that the network is gone; the connection counts as live until it was silent for long.
    if (name === "live" && navigator.onLine) {
      this.#show(null)
    } else if (this.#problem) {
      this.#show(...this.#problem, () => location.reload())
    } else if (name === "stopped") {
      // A person whose account is closed can't sign in again.
      const way = code === Close.banned ? null : code === Close.unsupported ? texts.reload : texts.signIn
      this.#show(texts[`stopped.${code}`] ?? texts.stopped, way, () => location.reload())
    } else if (!navigator.onLine) {
      this.#stopWaiting()
      this.#show(texts.offline)
    } else if (this.#banner.hidden) {
      // The time counts from the loss of the connection, however many attempts follow.
      this.#timer ??= setTimeout(() => this.#showLost(), QUIET_MS)
    } else {
      this.#showLost()
    }
  }

  #showLost() {
    if (this.#client.connection.name === "waiting") this.#hadTrouble = true
    if (this.#hadTrouble) this.#show(texts.reconnecting, texts.reconnectNow, () => this.#client.reconnectNow())
    else this.#show(texts.connecting)
  }

  #stopWaiting() {
    clearTimeout(this.#timer)
    this.#timer = null
  }

  #show(sentence, button = null, work = null) {
    // Drawing the same sentence again would take the focus from the button, and be announced again.
    if (this.#shown === sentence) return
    this.#shown = sentence
    this.#banner.hidden = sentence === null
    const { sentence: said, way } = partsOf(this.#banner)
    fill(said, sentence ?? "")
    if (!way) return
    way.hidden = !button
    way.textContent = button
    way.onclick = work
  }
}
