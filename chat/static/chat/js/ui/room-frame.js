// The parts around a room's messages: name and topic, what the person may do, the hint above them, who is typing.

import { put } from "./dom.js"
import { texts, titleOf } from "./texts.js"

/** Whether this person may not see the room any more. */
export const isGone = ({ access }) => access === "removed" || access === "denied"

/**
 * Draws the name, the topic, and either the composer or why there is none.
 * @param {any} parts @param {any} room
 * @param {{canWrite: boolean, ended: string | null}} context `ended`: why nothing can be written on this page any more
 */
export function drawAbout(parts, room, { canWrite, ended }) {
  const { state } = room
  const gone = isGone(room)
  const focused = document.activeElement
  // Until the server sends the state, what it rendered stays.
  if (!state && !gone) return
  if (state) {
    put(parts.name, titleOf(state))
    put(parts.topic, state.topic)
    parts.topic.hidden = state.kind === "direct" || !state.topic
    if (parts.people) put(parts.people, texts.members({ count: state.memberCount }))
  }
  // A host's policy may let people in although the room has no members.
  if (parts.people) parts.people.hidden = gone || !state.memberCount
  if (parts.settings) parts.settings.hidden = gone
  parts.leave.hidden = !state?.role || gone
  parts.composer.hidden = !canWrite || gone || ended !== null
  parts.outside.hidden = !parts.composer.hidden
  // The server renders the button disabled if this person may not join.
  parts.join.hidden = parts.join.disabled || gone || ended !== null || Boolean(state?.role) || Boolean(state?.archived) || state?.kind !== "open"
  const why = state?.whySilent ?? (state?.archived ? "archived" : parts.join.hidden ? "read_only" : "may_join")
  put(parts["outside-text"], ended ?? (gone ? texts.removedFromRoom : (texts[`silent.${why}`] ?? texts["silent.read_only"])))
  // A hidden element loses the focus. If the focus is outside the room, it is not ours to move.
  if (parts.timeline.closest("chat-room").contains(focused) && !focused.checkVisibility()) parts.timeline.focus({ preventScroll: true })
}

/** Draws the lines above and below the messages: what is being loaded, or that there is no more. */
export function drawHint(parts, room, { isLive, isEmpty, failed }) {
  const { timeline, isLoading } = room
  const isWaiting = !timeline.isLoaded && !isGone(room)
  const sentence = () => {
    if (isGone(room)) return ""
    if (isWaiting) return isLive ? texts.loading : ""
    if (failed) return texts.loadOlderFailed
    if (timeline.hasOlder) return texts.loadingOlder
    return isEmpty ? texts.noMessages : texts.beginning
  }
  parts.timeline.setAttribute("aria-busy", String(isWaiting || isLoading))
  put(parts.hint, sentence())
  parts["newer-hint"].hidden = !timeline.isLoaded || timeline.reachesNewest
}

/** Draws the button to the newest messages, with how many are unseen. */
export function drawToNewest(parts, { unseen }, isThere) {
  if (isThere && parts["to-newest"] === document.activeElement) parts.timeline.focus({ preventScroll: true })
  parts["to-newest"].hidden = isThere
  put(parts["to-newest-text"], unseen ? texts.newestCount({ count: unseen }) : texts.newest)
}

export function drawTyping(parts, room) {
  const { users } = room.typing
  // The member list names people who have written nothing here yet. Until it is loaded, they are "somebody".
  if (users.some((id) => !nameOf(room, id)) && !room.members.isLoaded) room.loadMembers().catch(() => {})
  const names = users.map((id) => nameOf(room, id) ?? texts.somebody)
  put(parts.typing, typingLine(names))
}

function typingLine(names) {
  if (names.length === 0) return ""
  if (names.length === 1) return texts.typingOne({ name: names[0] })
  return names.length === 2 ? texts.typingTwo({ first: names[0], second: names[1] }) : texts.typingMany
}

const nameOf = ({ members, timeline }, id) =>
  members.find(id)?.user.name ?? timeline.messages.findLast(({ author }) => author?.id === id)?.author.name
