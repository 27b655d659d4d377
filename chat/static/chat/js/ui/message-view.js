// One line of a timeline as an element, with the markup of chat/_message.html and chat/_timeline.html, so that nothing
// moves when it takes the place of what the server printed. Only `message.html`, which the server has sanitised, goes
// in as markup.

import { colourOf, excerptOf, initialsOf } from "../timeline-rows.js"
import { dayName, daysAgo, h, momentOf, timeOf, wordsOf } from "./dom.js"
import { messageUrl } from "./page-config.js"
import { sentenceOf, texts } from "./texts.js"

/**
 * @param {import("../timeline-rows.js").Row} row
 * @param {object} actions
 * @param {(message: object, opener: HTMLElement) => void} actions.openMenu
 * @param {(message: object, emoji: string, isOn: boolean) => void} actions.react
 * @param {(number: number) => void} actions.show a quoted message
 * @param {(clientId: string) => void} actions.retry
 * @param {(clientId: string) => void} actions.discard
 * @param {object} context `me`, `isLive`, `canWrite`, `target` (the number of the message that is meant), `editing` (the
 *   id of the one that one writes anew)
 * @returns {HTMLElement}
 */
export function viewOf(row, actions, context) {
  const element = VIEWS[row.kind](row, actions, context)
  element.dataset.key = row.key
  return element
}

/** Changes exactly when the line looks different. */
export function versionOf(row, { isLive, canWrite, target, editing }) {
  const { kind, message, continues, mine, quoted, users, by, item } = row
  if (kind === "message") {
    const quote = quoted && [quoted.changedSeq, quoted.author?.name]
    const marks = [target === message.number, editing === message.id]
    return [message.changedSeq, continues, mine, quote, message.author?.name, canWrite, ...marks].join("|")
  }
  if (kind === "notice") return [by?.id, ...users.map(({ id, name }) => id + name)].join("|")
  // At midnight today becomes yesterday.
  if (kind === "day") return headingOf(row.day)
  return kind === "pending" ? ["pending", item.state, item.error?.code, item.pause, continues, isLive].join("|") : kind
}

/** @type {Record<string, (row: any, actions: any, context: any) => HTMLElement>} */
const VIEWS = {
  day: ({ day }) => h("h2", { class: "day" }, h("span", { class: "day__name" }, headingOf(day))),
  unread: () => h("p", { class: "unread-line", tabindex: "-1" }, h("span", {}, texts.newFromHere)),
  hole: () => h("p", { class: "timeline__hint" }, texts.holding),
  notice: (row) => h("p", { class: "notice-line", dir: "auto" }, noticeOf(row)),
  message: messageView,
  pending: pendingView,
}

function messageView({ message, own, mine, quoted, continues }, actions, { canWrite, target, editing }) {
  const { id, number, author, deletedAt, replyTo, reactions } = message
  const isDeleted = deletedAt !== null
  const look = {
    "message": true, "message--continues": continues, "message--own": own, "message--deleted": isDeleted,
    "message--target": number === target, "message--editing": id === editing,
  }
  return h("article", {
    "class": classes(look), "tabindex": "-1", "data": { number },
    "aria-label": author?.name ?? texts.unknownAuthor, "aria-describedby": `message-${id}`,
  },
    continues ? null : avatar(author),
    head(author?.name, message.createdAt, continues, messageUrl(message.room, number)),
    replyTo ? quote(replyTo, quoted, actions) : null,
    isDeleted ? h("p", { class: "message__gone", id: `message-${id}` }, texts.deleted) : content(message),
    reactions.length ? chips(message, mine, actions, canWrite) : null,
    isDeleted ? null : menuButton(message, actions),
  )
}

function pendingView({ item, continues }, actions, { me, isLive }) {
  const isFailed = item.state === "failed"
  const look = { "message": true, "message--continues": continues, "message--own": true, [`message--${item.state}`]: true }
  const waits = item.pause === "rate.limited" ? texts.waitingItsTurn : texts.sending
  // What goes well goes fast: a line that came and went with each message would only make the others jump.
  const state = classes({ "message__state": true, "visually-hidden": isLive && !item.pause })
  // Read out once, and that is when it is stored.
  return h("article", { "class": classes(look), "tabindex": "-1", "aria-label": me.name, "aria-live": "off" },
    continues ? null : avatar(me),
    head(me.name, item.createdAt, continues),
    h("p", { class: "message__body message__body--plain", dir: "auto" }, item.body),
    isFailed
      ? h("div", { class: "message__failure", role: "alert" },
        h("span", {}, texts.notSent({ reason: sentenceOf(item.error) })),
        h("button", { class: "button", type: "button", onclick: () => actions.retry(item.clientId) }, texts.retry),
        h("button", { class: "button", type: "button", onclick: () => actions.discard(item.clientId) }, texts.discard))
      : h("p", { class: state }, isLive ? waits : texts.waitingToSend),
  )
}

function avatar(author) {
  if (author?.avatar) return h("img", { class: "avatar", src: author.avatar, alt: "" })
  const look = `avatar avatar--${colourOf(author?.id ?? "")}`
  return h("span", { "class": look, "aria-hidden": "true" }, initialsOf(author?.name ?? ""))
}

function head(name, at, continues, href) {
  const when = h("time", { datetime: at, title: momentOf(at) }, timeOf(at))
  const look = classes({ "message__author": true, "visually-hidden": continues })
  const author = h("span", { class: look, dir: "auto" }, name ?? texts.unknownAuthor)
  return h("header", { class: "message__head" }, author, h(href ? "a" : "span", { "class": "message__time", href, "tabindex": href && "-1" }, when))
}

function content({ id, html, editedAt }) {
  const body = h("div", { class: "message__body", id: `message-${id}`, dir: "auto" })
  body.innerHTML = html
  if (editedAt) {
    const last = body.lastElementChild?.matches("p") ? body.lastElementChild : body
    last.append(h("span", { class: "message__edited", title: momentOf(editedAt) }, `(${texts.edited})`))
  }
  return body
}

function quote({ number }, quoted, actions) {
  const name = quoted?.author?.name ?? texts.unknownAuthor
  const words = quoted?.deletedAt ? texts.quotedDeleted : excerptOf(wordsOf(quoted?.html ?? ""))
  // Each for itself: a name from the left and a text from the right would otherwise change places.
  const apart = { "\ue000": name, "\ue001": words }
  const parts = texts.inReplyTo({ name: "\ue000", text: "\ue001" }).split(/([\ue000\ue001])/).filter(Boolean)
  const isolated = parts.map((part) => (part in apart ? h("bdi", {}, apart[part]) : part))
  const look = { class: "message__quote", type: "button", tabindex: "-1", onclick: () => actions.show(number) }
  return h("button", look, ...(quoted ? isolated : [texts.inReplyToNumber({ number })]))
}

function chips(message, mine, actions, canWrite) {
  return h("div", { class: "message__reactions" }, ...message.reactions.map(({ emoji, count }) => h("button", {
    "class": "reaction", "type": "button", "tabindex": "-1",
    "aria-pressed": String(mine.includes(emoji)), "aria-label": texts.reaction({ emoji, count }),
    "disabled": !canWrite, "onclick": () => actions.react(message, emoji, !mine.includes(emoji)),
  }, emoji, h("span", { class: "reaction__count" }, String(count)))))
}

function menuButton(message, actions) {
  return h("button", {
    "class": "message__menu", "type": "button", "aria-label": texts.messageActions, "aria-haspopup": "true",
    "tabindex": "-1", "onclick": (event) => actions.openMenu(message, event.currentTarget),
  }, "⋯")
}

function headingOf(day) {
  const ago = daysAgo(day)
  return ago === 0 ? texts.today : ago === 1 ? texts.yesterday : dayName(day)
}

function noticeOf({ what, users, by }) {
  const names = users.map(({ name }) => name || texts.unknownAuthor)
  return texts[`notice.${what}`]({ names: namesOf(names), by: by?.name })
}

function namesOf([first, second, third, ...others]) {
  if (!second) return first
  if (!third) return texts.namesTwo({ first, second })
  return others.length
    ? texts.namesMany({ first, second, count: others.length + 1 })
    : texts.namesThree({ first, second, third })
}

const classes = (wanted) => Object.keys(wanted).filter((name) => wanted[name]).join(" ")
