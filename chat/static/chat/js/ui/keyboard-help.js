import { show } from "./dialogs.js"
import { h } from "./dom.js"
import { texts } from "./texts.js"

const KEYS = [
  ["Enter", texts.keySend], ["Shift + Enter", texts.keyNewLine], ["@", texts.keyMention],
  ["↑", texts.keyEditLast], ["Esc", texts.keyCancel],
  ["↑ ↓", texts.keyWalk], ["Enter", texts.keyMenu],
  ["R", texts.keyReply], ["E", texts.keyEdit], ["Delete", texts.keyDelete], ["+", texts.keyReact],
  ["C", texts.keyCopyLink], ["U", texts.keyUnread], ["?", texts.keyHelp],
]

const WRITING = "input, textarea, select, [contenteditable], dialog"

/** Which keys do what. */
export function keyboardHelp() {
  const rows = KEYS.flatMap(([key, meaning]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, meaning)])
  return show({ "class": "dialog", "aria-label": texts.keyboardHelp },
    h("h2", { class: "dialog__title" }, texts.keyboardHelp),
    h("dl", { class: "keys" }, ...rows),
    h("div", { class: "dialog__buttons" }, h("button", { class: "button button--primary" }, texts.close)))
}

/** "?" shows them, unless one is writing. */
export function listenForHelp() {
  document.addEventListener("keydown", (event) => {
    // On a host's page only in what is ours.
    if (event.key !== "?" || !event.target.closest(".chat") || event.target.closest(WRITING)) return
    event.preventDefault()
    keyboardHelp()
  })
}
