import { drawn } from "./templates.js"

/** Copies text. @returns {Promise<boolean>} whether it is in the clipboard */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // Pages without TLS have no navigator.clipboard; the old way needs a selected field.
    const before = document.activeElement
    const { element } = drawn("clipboard")
    const field = /** @type {HTMLTextAreaElement} */ (element)
    field.value = text
    ;(document.querySelector(".chat") ?? document.body).append(field)
    field.select()
    const isCopied = document.execCommand("copy")
    field.remove()
    before?.focus()
    return isCopied
  }
}
