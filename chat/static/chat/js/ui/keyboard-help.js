import { show } from "./dialogs.js"
import { drawn, fill } from "./templates.js"

/** Where Ctrl+K is a key of every text box. */
const isMac = navigator.platform.startsWith("Mac")

const WRITING = "input, textarea, select, [contenteditable], dialog"

/** Which keys do what. */
export function keyboardHelp() {
  const { element, parts } = drawn("keyboard-help")
  if (isMac) fill(parts.find, "⌘ K")
  return show(element)
}

/** "?" shows them, unless one is writing; Ctrl+K leads to the search in one's rooms. */
export function listenForKeys() {
  document.addEventListener("keydown", (event) => {
    const find = document.querySelector("chat-room-list [data-part=find]")
    const isFree = find?.checkVisibility() && !document.querySelector("dialog:modal")
    if (isFree && event.key === "k" && event[isMac ? "metaKey" : "ctrlKey"]) {
      event.preventDefault()
      find.focus()
    }
    // On a host's page only in what is ours.
    if (event.key !== "?" || !event.target.closest(".chat") || event.target.closest(WRITING)) return
    event.preventDefault()
    keyboardHelp()
  })
}
