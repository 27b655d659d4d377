/** The smallest thing that lets several listeners follow one object. One listener's failure doesn't reach the next. */
export class Emitter {
  #listeners = new Map()

  /**
   * @param {string} name
   * @param {(detail: any) => void} listener
   * @returns {() => void} ends the subscription
   */
  on(name, listener) {
    const all = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, all.add(listener))
    return () => all.delete(listener)
  }

  emit(name, detail) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(detail)
      } catch (error) {
        reportError(error)
      }
    }
  }
}
