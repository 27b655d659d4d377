// One line of a timeline as an element. Only `message.html`, which the server has sanitised, goes in as markup.

import { dayName, h, momentOf, timeOf } from "./dom.js"
import { texts } from "./texts.js"

const QUOTE_CHARS = 140

/**
 * @param {import("../rows.js").Row} row
 * @param {object} actions
 * @param {(message: object, opener: HTMLElement) => void} actions.openMenu
 * @param {(message: object, emoji: string, isOn: boolean) => void} actions.react
 * @param {(number: number) => void} actions.show a quoted message
 * @param {(clientId: string) => void} actions.retry
 * @param {(clientId: string) => void} actions.discard
 * @param {object} context `me`, `isLive`, `canWrite`
 * @returns {HTMLElement}
 */
export function viewOf(row, actions, context) {
  if (row.kind === "day") return h("h2", { class: "day" }, h("span", { class: "day__name" }, dayName(row.day)))
  if (row.kind === "hole") return h("p", { class: "timeline__hint" }, texts.holding)
  return row.kind === "pending" ? pendingView(row, actions, context) : messageView(row, actions, context)
}

/** Changes exactly when the line looks different. */
export function versionOf(row, { isLive, canWrite }) {
  if (row.kind === "message") {
    const { message, continues, mine, quoted } = row
    return [message.changedSeq, continues, mine, quoted?.changedSeq, message.author?.name, canWrite].join("|")
  }
  return row.kind === "pending" ? ["pending", row.item.state, row.continues, isLive].join("|") : row.key
}

function messageView({ message, own, mine, quoted, continues }, actions, { canWrite }) {
  const isDeleted = message.deletedAt !== null
  const look = { "message": true, "message--continues": continues, "message--own": own, "message--deleted": isDeleted }
  return h("article", {
    "class": classes(look),
    "tabindex": "-1", "data": { number: message.number }, "aria-label": message.author?.name ?? texts.unknownAuthor,
  },
    head(message.author?.name, message.createdAt, continues),
    message.replyTo ? quote(message.replyTo, quoted, actions) : null,
    isDeleted ? h("p", { class: "message__gone" }, texts.deleted) : content(message),
    message.reactions.length ? reactions(message, mine, actions, canWrite) : null,
    isDeleted || !canWrite ? null : menuButton(message, actions),
  )
}

function pendingView({ item, continues }, actions, { me, isLive }) {
  const isFailed = item.state === "failed"
  const look = { "message": true, "message--own": true, "message--continues": continues, [`message--${item.state}`]: true }
  return h("article", { class: classes(look), tabindex: "-1" },
    head(me.name, item.createdAt, continues),
    h("p", { class: "message__body message__body--plain", dir: "auto" }, item.body),
    isFailed
      ? h("div", { class: "message__failure", role: "alert" },
        h("span", {}, texts.notSent(item.error.message)),
        h("button", { class: "button", type: "button", onclick: () => actions.retry(item.clientId) }, texts.retry),
        h("button", { class: "button", type: "button", onclick: () => actions.discard(item.clientId) }, texts.discard))
      : h("p", { class: "message__state" }, isLive ? texts.sending : texts.waitingToSend),
  )
}

function head(name, at, continues) {
  const when = h("time", { class: "message__time", datetime: at, title: momentOf(at) }, timeOf(at))
  const look = classes({ "message__author": true, "visually-hidden": continues })
  const author = h("span", { class: look, dir: "auto" }, name ?? texts.unknownAuthor)
  return h("header", { class: "message__head" }, author, when)
}

function content(message) {
  const body = h("div", { class: "message__body", dir: "auto" })
  body.innerHTML = message.html
  for (const link of body.querySelectorAll("a[href]")) link.target = "_blank"
  if (message.editedAt) {
    const last = body.lastElementChild?.matches("p") ? body.lastElementChild : body
    last.append(h("span", { class: "message__edited", title: momentOf(message.editedAt) }, `(${texts.edited})`))
  }
  return body
}

function quote({ number }, quoted, actions) {
  const name = quoted?.author?.name ?? texts.unknownAuthor
  const words = quoted?.deletedAt ? texts.deleted : excerpt(quoted?.body ?? "")
  const text = quoted ? texts.inReplyTo(name, words) : texts.inReplyToNumber(number)
  return h("button", { class: "message__quote", type: "button", dir: "auto", onclick: () => actions.show(number) }, text)
}

function reactions(message, mine, actions, canWrite) {
  const chips = message.reactions.map(({ emoji, count }) => h("button", {
    "class": "reaction", "type": "button",
    "aria-pressed": String(mine.includes(emoji)), "aria-label": texts.reaction(emoji, count),
    "disabled": !canWrite, "onclick": () => actions.react(message, emoji, !mine.includes(emoji)),
  }, emoji, h("span", { class: "reaction__count" }, String(count))))
  return h("div", { class: "message__reactions" }, ...chips)
}

function menuButton(message, actions) {
  return h("button", {
    "class": "message__menu", "type": "button", "aria-label": texts.messageActions, "aria-haspopup": "true",
    "tabindex": "-1", "onclick": (event) => actions.openMenu(message, event.currentTarget),
  }, "⋯")
}

const classes = (wanted) => Object.keys(wanted).filter((name) => wanted[name]).join(" ")

function excerpt(body) {
  const line = body.replace(/\s+/g, " ")
  return line.length > QUOTE_CHARS ? `${line.slice(0, QUOTE_CHARS)}…` : line
}
