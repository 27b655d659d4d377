// What stands around a room's messages: name and topic, what one may do, the hint above them, who is typing.

import { texts } from "./texts.js"

/** Name, topic, and either the composer or why there is none. */
export function drawAbout(parts, { state, access }, { canWrite }) {
  const isGone = access === "removed" || access === "denied"
  // Until the server has spoken, what it rendered stands.
  if (!state && !isGone) return
  if (state) {
    parts.name.textContent = state.name
    parts.topic.textContent = state.topic
  }
  parts.leave.hidden = !state?.role || isGone
  parts.composer.hidden = !canWrite || isGone
  parts.outside.hidden = !parts.composer.hidden
  parts.join.hidden = isGone || Boolean(state?.role) || Boolean(state?.archived)
  parts["outside-text"].textContent = isGone ? texts.removedFromRoom : state?.archived ? texts.archived : texts.notMember
}

/** The line above the first message: what is being loaded, or that there is no more. */
export function drawHint(parts, { timeline, isLoading, access }, { isLive, isEmpty, olderFailed }) {
  const isWaiting = !timeline.isLoaded && access !== "denied"
  parts.timeline.setAttribute("aria-busy", String(isWaiting || isLoading))
  const sentence = () => {
    if (isWaiting) return isLive ? texts.loading : ""
    if (olderFailed) return texts.loadOlderFailed
    if (timeline.hasOlder) return texts.loadingOlder
    return isEmpty ? texts.noMessages : texts.beginning
  }
  parts.hint.textContent = sentence()
}

export function drawTyping(parts, room) {
  const { users } = room.typing
  // Somebody who has not written anything yet: the list of members knows the name. Without it, it is "somebody".
  if (users.some((id) => !nameOf(room, id)) && !room.members.isLoaded) room.loadMembers().catch(() => {})
  const names = users.map((id) => nameOf(room, id) ?? texts.somebody)
  parts.typing.textContent = typingLine(names)
}

function typingLine(names) {
  if (names.length === 0) return ""
  if (names.length === 1) return texts.typingOne(names[0])
  return names.length === 2 ? texts.typingTwo(names[0], names[1]) : texts.typingMany
}

const nameOf = ({ members, timeline }, id) =>
  members.find(id)?.user.name ?? timeline.messages.findLast(({ author }) => author?.id === id)?.author.name
