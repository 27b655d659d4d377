// A person's rooms as the sidebar shows them; chat/web/sidebar.py does the same for the first paint.

import { fold } from "./fold.js"

/**
 * Sorts rooms by name, so that each stays in its place, and direct ones by their last message. Archived ones are apart.
 * @param {import("./protocol.js").RoomState[]} rooms
 */
export function sectionsOf(rooms) {
  const parts = { rooms: [], direct: [], archived: [] }
  for (const { room } of rooms.map((room) => ({ room, fold: fold(room.name) })).sort(byName)) {
    parts[room.archived ? "archived" : room.kind === "direct" ? "direct" : "rooms"].push(room)
  }
  parts.direct.sort((a, b) => compare(b.lastMessageAt ?? "", a.lastMessageAt ?? ""))
  return parts
}

const byName = (a, b) => compare(a.fold, b.fold) || compare(a.room.name, b.room.name) || a.room.id - b.room.id

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0)
