/** Lets several listeners follow one object. An error in one listener is reported, and does not stop the others. */
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
