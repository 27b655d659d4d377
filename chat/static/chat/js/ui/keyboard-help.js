import { show } from "./dialogs.js"
import { drawn, fill } from "./templates.js"

/** On a Mac, Ctrl+K edits text in every text box, so the shortcut is ⌘K there. */
const isMac = navigator.platform.startsWith("Mac")

const WRITING = "input, textarea, select, [contenteditable], dialog"

/** Shows which keys do what. */
export function keyboardHelp() {
  const { element, parts } = drawn("keyboard-help")
  if (isMac) fill(parts.find, "⌘ K")
  return show(element)
}

/** Shows them on "?", except while somebody writes. Ctrl+K (⌘K on a Mac) goes to the search for a room. */
export function listenForKeys() {
  document.addEventListener("keydown", (event) => {
    const find = document.querySelector("chat-room-list [data-part=find]")
    const isFree = find?.checkVisibility() && !document.querySelector("dialog:modal")
    if (isFree && event.key === "k" && event[isMac ? "metaKey" : "ctrlKey"]) {
      event.preventDefault()
      find.focus()
    }
    // On a host's page, only keys pressed inside `.chat` are ours.
    if (event.key !== "?" || !event.target.closest(".chat") || event.target.closest(WRITING)) return
    event.preventDefault()
    keyboardHelp()
  })
}
