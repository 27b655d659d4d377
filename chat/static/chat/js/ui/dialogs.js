import { h } from "./dom.js"
import { texts } from "./texts.js"

/** Asks before something that can't be undone. @returns {Promise<boolean>} */
export function confirm(question, yes) {
  const dialog = h("dialog", { "class": "dialog", "aria-label": question })
  const form = h("form", { class: "dialog__form", method: "dialog" },
    h("p", { class: "dialog__question" }, question),
    h("div", { class: "dialog__buttons" },
      h("button", { class: "button", value: "no" }, texts.cancel),
      h("button", { class: "button button--danger", value: "yes" }, yes)))
  dialog.append(form)
  document.body.append(dialog)
  dialog.showModal()
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    dialog.remove()
    resolve(dialog.returnValue === "yes")
  }))
}

/** Says a failure where it can't be said in place; stays until dismissed or replaced. */
export function alertAbout(sentence) {
  document.querySelector(".alert")?.remove()
  const alert = h("div", { class: "alert", role: "alert" },
    h("span", {}, sentence),
    h("button", { class: "button button--quiet", type: "button", onclick: () => alert.remove() }, texts.dismiss))
  document.body.append(alert)
}
