import { show } from "./dialogs.js"
import { h } from "./dom.js"
import { texts } from "./texts.js"

/** Where Ctrl+K is a key of every text box. */
const isMac = navigator.platform.startsWith("Mac")

const GROUPS = [
  [texts.keysWriting, [
    ["Enter", texts.keySend], ["Shift + Enter", texts.keyNewLine], ["@", texts.keyMention],
    ["↑", texts.keyEditLast], ["Esc", texts.keyCancel], ["Alt + ↑", texts.keyToMessages],
    [isMac ? "⌘ K" : "Ctrl + K", texts.keyFind],
  ]],
  [texts.keysMessage, [
    ["↑ ↓", texts.keyWalk], ["Home End", texts.keyEnds], ["Enter", texts.keyMenu],
    ["R", texts.keyReply], ["E", texts.keyEdit], ["Delete", texts.keyDelete], ["+", texts.keyReact],
    ["C", texts.keyCopyLink], ["U", texts.keyUnread], ["Esc", texts.keyToWriting], ["?", texts.keyHelp],
  ]],
]

const WRITING = "input, textarea, select, [contenteditable], dialog"

/** Which keys do what. */
export function keyboardHelp() {
  const rowOf = ([key, meaning]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, meaning)]
  const groups = GROUPS.map(([name, keys]) => h("div", { class: "keys-group" },
    h("h3", { class: "dialog__subtitle" }, name), h("dl", { class: "keys" }, ...keys.flatMap(rowOf))))
  return show({ "class": "dialog dialog--wide", "aria-label": texts.keyboardHelp },
    h("h2", { class: "dialog__title" }, texts.keyboardHelp),
    h("div", { class: "keys-groups" }, ...groups),
    h("div", { class: "dialog__buttons" }, h("button", { class: "button button--primary" }, texts.close)))
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
