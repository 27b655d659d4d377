import { drawn, fill } from "./templates.js"
import { sentenceOf } from "./texts.js"

const TOAST_MS = 4_000
const ALERT_MS = 8_000

/** Everything goes inside `.chat`, also on a host's page, because our style sheets apply only there. */
const home = () => document.querySelector(".chat") ?? document.body

const focusLog = () => home().querySelector("[role=log]")?.focus({ preventScroll: true })

/** Asks before something that can't be undone. @returns {Promise<boolean>} */
export async function confirm(question, yes) {
  const { element, parts } = drawn("confirm")
  element.ariaLabel = question
  fill(parts.question, question)
  fill(parts.yes, yes)
  return (await show(element)) === "yes"
}

/** Shows a dialog, and removes it when closed. @param {any} dialog @returns {Promise<string>} which button closed it */
export function show(dialog) {
  home().append(dialog)
  dialog.showModal()
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    dialog.remove()
    // The element that had the focus before may be gone by now.
    if (document.activeElement === document.body) focusLog()
    resolve(dialog.returnValue)
  }))
}

/** In a room, alerts and toasts appear above the composer, not over it. */
const place = () => home().querySelector(".room__float") ?? home()

let endAlert = () => {}

/** Shows a failure that has no place of its own. It goes at Escape, or by itself unless it has the pointer or focus. */
export function alertAbout(sentence) {
  endAlert()
  const { element: alert, parts } = drawn("alert")
  fill(parts.sentence, sentence)
  parts.dismiss?.addEventListener("click", () => endAlert())
  const timer = setInterval(() => alert.matches(":hover, :focus-within") || endAlert(), ALERT_MS)
  // Listen ahead of all others: one press must close the alert alone, and not also the edit below.
  const onKey = (event) => {
    // Leave keys to the host's page and to input methods.
    if (event.key !== "Escape" || event.isComposing || !(event.target === document.body || event.target.closest(".chat"))) return
    event.stopPropagation()
    endAlert()
  }
  document.addEventListener("keydown", onKey, true)
  endAlert = () => {
    clearInterval(timer)
    document.removeEventListener("keydown", onKey, true)
    if (alert.contains(document.activeElement)) focusLog()
    alert.remove()
    endAlert = () => {}
  }
  place().append(alert)
}

/** Shows why `work` failed, if it did. @returns {Promise<boolean>} whether it succeeded */
export const attempt = (work) => work.then(() => true, (error) => {
  alertAbout(sentenceOf(error))
  return false
})

let region = null

/** Shows briefly that something was done. */
export function say(sentence) {
  // Screen readers only follow a live region that was there before its words.
  if (!region?.isConnected) region = place().appendChild(drawn("toasts").element)
  const { element: toast, parts } = drawn("toast")
  fill(parts.words, sentence)
  region.replaceChildren(toast)
  setTimeout(() => toast.remove(), TOAST_MS)
}
