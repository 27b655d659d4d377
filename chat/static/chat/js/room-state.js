// The arithmetic of a room's line in the list: unread counts and the read pointer. Pure functions on a RoomState.

/** @typedef {import("./protocol.js").RoomState} RoomState */

/** Returns the state after a message, which it may count already. @returns {RoomState} */
export function withMessage(state, message, me) {
  if (message.number <= state.lastNumber) return state
  const next = { ...state, lastNumber: message.number, lastMessageAt: message.createdAt }
  const own = message.author !== null && message.author.id === me
  if (own) return { ...next, read: message.number, unread: 0, mentions: 0 }
  const mentioned = message.mentions.includes(me) ? 1 : 0
  return { ...next, unread: next.lastNumber - next.read, mentions: next.mentions + mentioned }
}

/** Returns the state after the person's pointer moved, here or on another device. An older `rev` changes nothing. */
export function withRead(state, { read, mentions, rev }) {
  if (rev < state.rev) return state
  return { ...state, read, rev, mentions, unread: Math.max(0, state.lastNumber - read) }
}

/** Returns the state after the room itself changed. A direct room keeps its name, which differs for each person. */
export const withRoom = (state, room) => ({ ...state, ...room, name: room.name || state.name, whySilent: null })

/** Returns the state after somebody joined or left. A state that was read later includes the count already. */
export const withCount = (state, { seq, memberCount }) =>
  seq <= state.seq || memberCount === null ? state : { ...state, memberCount }

/** Whether the person may delete what others wrote. @param {RoomState | null} state */
export const mayModerate = (state) => state?.mayModerate ?? ["owner", "moderator"].includes(state?.role)

/** Whether the person may write here now. @param {RoomState | null} state */
export const mayWrite = (state) => Boolean(state && (state.mayPost ?? state.role) && !state.archived)
