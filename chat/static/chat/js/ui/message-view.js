// Draws one row of a timeline: a filled copy of its template, which chat/_timeline_row.html renders. Only
// `message.html`, which the server has sanitised, goes in as markup.

import { colourOf, excerptOf, initialsOf } from "../timeline-rows.js"
import { dayName, daysAgo, momentOf, timeOf, wordsOf } from "./dom.js"
import { config, messageUrl } from "./page-config.js"
import { drawn, fill } from "./templates.js"
import { sentenceOf, texts } from "./texts.js"

/**
 * Makes the element of a row.
 * @param {import("../timeline-rows.js").Row} row
 * @param {object} actions
 * @param {(message: object, opener: HTMLElement) => void} actions.openMenu
 * @param {(message: object, emoji: string, isOn: boolean) => void} actions.react
 * @param {(number: number) => void} actions.show a quoted message
 * @param {(clientId: string) => void} actions.retry
 * @param {(clientId: string) => void} actions.discard
 * @param {object} context `me`, `isLive`, `canWrite`, `target` (the number of the message that a link leads to),
 *   `editing` (the id of the message that is being edited)
 * @returns {HTMLElement}
 */
export function viewOf(row, actions, context) {
  const element = VIEWS[row.kind](row, actions, context)
  element.dataset.key = row.key
  return element
}

/** Returns a string that changes exactly when the row looks different. */
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
  return kind === "pending" ? ["pending", item.state, item.error?.code, item.pause, item.isLate, item.isHere, continues, isLive].join("|") : kind
}

/** @type {Record<string, (row: any, actions: any, context: any) => HTMLElement>} */
const VIEWS = {
  day: ({ day }) => lineView("day", headingOf(day)),
  notice: (row) => lineView("notice", noticeOf(row)),
  unread: () => drawn("unread").element,
  hole: () => drawn("hole").element,
  message: messageView,
  pending: pendingView,
}

function lineView(name, words) {
  const { element, parts } = drawn(name)
  fill(parts.words, words)
  return element
}

function messageView({ message, own, mine, quoted, continues }, actions, { canWrite, target, editing }) {
  const { id, room, number, author, createdAt, deletedAt, editedAt } = message
  const { element, parts } = drawn("message")
  const isDeleted = deletedAt !== null
  look(element, {
    "message--continues": continues, "message--own": own, "message--deleted": isDeleted,
    "message--target": number === target, "message--editing": id === editing,
  })
  element.dataset.number = number
  element.ariaLabel = author?.name ?? texts.unknownAuthor
  element.setAttribute("aria-describedby", `message-${id}`)
  drawHead(parts, author, createdAt, continues)
  parts.link?.setAttribute("href", messageUrl(room, number))
  drawQuote(parts, message, quoted, actions)
  if (isDeleted || !editedAt) fill(parts.edited, null)
  else if (parts.edited) parts.edited.title = momentOf(editedAt)
  fill(isDeleted ? parts.body : parts.gone, null)
  const said = isDeleted ? parts.gone : parts.body
  if (said) said.id = `message-${id}`
  if (!isDeleted && said) {
    said.innerHTML = message.html
    if (editedAt && parts.edited) (said.lastElementChild?.matches("p") ? said.lastElementChild : said).append(parts.edited)
  }
  drawReactions(parts, message, mine, actions, canWrite)
  if (isDeleted) fill(parts.menu, null)
  else parts.menu?.addEventListener("click", () => actions.openMenu(message, parts.menu))
  return element
}

function pendingView({ item, continues }, actions, { me, isLive }) {
  const { element, parts } = drawn("pending")
  const isFailed = item.state === "failed"
  look(element, { "message--continues": continues, [`message--${item.state}`]: true })
  element.ariaLabel = me.name
  drawHead(parts, me, item.createdAt, continues)
  fill(parts.body, item.body)
  if (!isFailed) fill(parts.failure, null)
  else fill(parts.reason, texts.notSent({ reason: sentenceOf(item.error) }))
  parts.retry?.addEventListener("click", () => actions.retry(item.clientId))
  parts.discard?.addEventListener("click", () => actions.discard(item.clientId))
  const waits = item.pause === "rate.limited" ? texts.waitingItsTurn : texts.sending
  const said = isFailed ? [] : [isLive ? waits : texts.waitingToSend]
  if (item.isHere && (item.isLate || isFailed)) said.push(texts.notKeptHere)
  fill(parts.state, said.join(" ") || null)
  // Sending is usually fast: a line that came and went with each message would only make the others jump.
  parts.state?.classList.toggle("visually-hidden", isLive && !item.pause && !item.isLate)
  return element
}

function drawHead({ picture, initials, author: name, time }, author, at, continues) {
  if (continues || !author?.avatar) fill(picture, null)
  else picture?.setAttribute("src", author.avatar)
  fill(initials, continues || author?.avatar ? null : initialsOf(author?.name ?? ""))
  initials?.classList.replace("avatar--1", `avatar--${colourOf(author?.id ?? "", config.timeline.avatarColours)}`)
  fill(name, author?.name ?? texts.unknownAuthor)
  name?.classList.toggle("visually-hidden", continues)
  if (!time) return
  fill(time, timeOf(at))
  time.dateTime = at
  time.title = momentOf(at)
}

function drawQuote({ quote: part, "quote-author": author, "quote-text": text }, { room, replyTo }, quoted, actions) {
  if (!replyTo || !part) return fill(part, null)
  const { number } = replyTo
  part.href = messageUrl(room, number)
  part.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return
    event.preventDefault()
    actions.show(number)
  })
  if (!quoted) return fill(part, texts.inReplyToNumber({ number }))
  const words = quoted.deletedAt ? texts.quotedDeleted : excerptOf(wordsOf(quoted.html), config.timeline.quoteChars)
  fill(author, quoted.author?.name ?? texts.unknownAuthor)
  fill(text, words)
}

function drawReactions({ reactions: row, reaction: prototype }, message, mine, actions, canWrite) {
  if (!message.reactions.length || !prototype) return fill(row, null)
  row?.replaceChildren(...message.reactions.map(({ emoji, count }) => {
    const chip = prototype.cloneNode(true)
    fill(chip.querySelector("[data-part=count]"), count)
    chip.prepend(emoji)
    chip.ariaPressed = String(mine.includes(emoji))
    chip.ariaLabel = texts.reaction({ emoji, count })
    chip.disabled = !canWrite
    chip.addEventListener("click", () => actions.react(message, emoji, !mine.includes(emoji)))
    return chip
  }))
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

/** Sets the classes that depend on the state, beside those that the template gives. */
function look(element, wanted) {
  for (const name in wanted) element.classList.toggle(name, Boolean(wanted[name]))
}
