import { drawn, fill } from "./templates.js"
import { sentenceOf } from "./texts.js"

const TOAST_MS = 4_000
const ALERT_MS = 8_000

/** Everything of ours stays inside an element of our own, also on a host's page: there our style sheets reach it. */
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

/** Shows a dialog; closing it takes it away. @param {any} dialog @returns {Promise<string>} which button closed it */
export function show(dialog) {
  home().append(dialog)
  dialog.showModal()
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    dialog.remove()
    // Where it was before may be gone by now.
    if (document.activeElement === document.body) focusLog()
    resolve(dialog.returnValue)
  }))
}

/** Where a room is, above what one writes there, not over it. */
const place = () => home().querySelector(".room__float") ?? home()

let endAlert = () => {}

/** Says a failure where it can't be said in place; goes by itself when nobody points at it, at Escape at once. */
export function alertAbout(sentence) {
  endAlert()
  const { element: alert, parts } = drawn("alert")
  fill(parts.sentence, sentence)
  parts.dismiss?.addEventListener("click", () => endAlert())
  const timer = setInterval(() => alert.matches(":hover, :focus-within") || endAlert(), ALERT_MS)
  // Ahead of all others, for one press closes one thing, and not also the edit below.
  const onKey = (event) => {
    // Not the host's key, and not that of an input method.
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

/** @returns {Promise<boolean>} whether it worked; if not, it was said why */
export const attempt = (work) => work.then(() => true, (error) => {
  alertAbout(sentenceOf(error))
  return false
})

let region = null

/** Says in passing that something was done. */
export function say(sentence) {
  // A live region is only listened to where it was there before its words.
  if (!region?.isConnected) region = place().appendChild(drawn("toasts").element)
  const { element: toast, parts } = drawn("toast")
  fill(parts.words, sentence)
  region.replaceChildren(toast)
  setTimeout(() => toast.remove(), TOAST_MS)
}
