// The wire, version 1 (docs/protocol.md): the only module that knows its keys and close codes. It turns frames into
// events and commands into frames; inside, names are camelCase. Fields and events that it does not know are left out.

export const PROTOCOL_VERSION = 1
export const SUBPROTOCOL = "chat.v1"

/** The limits of a server with default settings; `hello` brings the real ones. */
export const DEFAULT_LIMITS = Object.freeze({
  frameBytes: 64 * 1024, bodyChars: 10_000, syncRooms: 500, history: 100, catchUp: 1_000, unanswered: 32,
})

/** Close codes that clients give a meaning of their own. */
export const Close = Object.freeze({
  heartbeatMissed: 4001, draining: 4012, notSignedIn: 4501, banned: 4503, sessionEnded: 4509, unsupported: 4510,
})

/** Whether a client that was closed with `code` comes back after its back-off. */
export const mayReconnect = (code) => !(code >= 4500 && code <= 4999)

/** A refusal or a failure with a stable dotted code; `retry` says whether the same request may succeed later. */
export class ChatError extends Error {
  constructor({ code, message = code, retry = false, retryAfterMs = null, field = null }) {
    super(message)
    this.name = "ChatError"
    Object.assign(this, { code, retry, retryAfterMs, field })
  }
}

const encoder = new TextEncoder()

/** Size of a frame as the server counts it. */
export const frameBytes = (frame) => encoder.encode(frame).length

/** Whether the server can store the text: no U+0000 and no lone surrogate. */
export const isStorable = (text) => !text.includes("\0") && !/\p{Surrogate}/u.test(text)

// Objects -------------------------------------------------------------------------------------------------------

/** @typedef {{id: string, name: string, avatar: string | null}} User */
/** @typedef {{user: User, role: string, joinedAt: string, leftAt: string | null, handle: string | null,
 *   by: User | null}} Member by: who added or, after leftAt, removed them */
/** @typedef {{id: string, slug: string, name: string, kind: string, topic: string, archived: boolean,
 *   memberCount: number, lastMessageAt: string | null}} RoomFields as everybody sees a room */
/** @typedef {RoomFields & {epoch: string, seq: number, lastNumber: number, read: number, unread: number,
 *   mentions: number, rev: number, role: string | null, notify: string, online: number | null,
 *   mayPost: boolean | null, gone: number}} RoomState mayPost is null where it goes with the role; gone: so many
 *   names at the end of a direct room's are those of deleted accounts */
/** @typedef {{id: string, room: string, number: number, seq: number, changedSeq: number, author: User | null,
 *   clientId: string | null, body: string, html: string, kind: string, replyTo: {id: string, number: number} | null,
 *   attachments: object[], reactions: {emoji: string, count: number, users: string[]}[], mentions: string[],
 *   createdAt: string, editedAt: string | null, deletedAt: string | null}} Message */

const userOf = (u) => u && { id: u.id, name: u.name, avatar: u.avatar ?? null }

const memberOf = (m) => ({
  user: userOf(m.user), role: m.role, joinedAt: m.joined_at, leftAt: m.left_at ?? null, handle: m.handle ?? null,
  by: userOf(m.by) ?? null,
})

const roomOf = (r) => r && {
  id: r.id, slug: r.slug, name: r.name, kind: r.kind, topic: r.topic, archived: r.archived,
  memberCount: r.member_count, lastMessageAt: r.last_message_at ?? null,
}

const stateOf = (r) => r && ("epoch" in r ? {
  ...roomOf(r), epoch: r.epoch, seq: r.seq, lastNumber: r.last_number, read: r.read, unread: r.unread,
  mentions: r.mentions, rev: r.rev, role: r.role ?? null, notify: r.notify, online: r.online ?? null,
  mayPost: r.may_post ?? null, gone: r.gone ?? 0,
} : roomOf(r))

const messageOf = (m) => ({
  id: m.id, room: m.room, number: m.number, seq: m.seq, changedSeq: m.changed_seq, author: userOf(m.author),
  clientId: m.client_id ?? null, body: m.body, html: m.html, kind: m.kind, replyTo: m.reply_to ?? null,
  attachments: m.attachments, reactions: m.reactions, mentions: m.mentions,
  createdAt: m.created_at, editedAt: m.edited_at ?? null, deletedAt: m.deleted_at ?? null,
})

const limitsOf = (l) => ({
  frameBytes: l.frame_bytes, bodyChars: l.body_chars, syncRooms: l.sync_rooms, history: l.history,
  catchUp: l.catch_up, unanswered: l.unanswered,
})

const errorOf = (e) => new ChatError({
  code: e.code, message: e.message, retry: e.retry, retryAfterMs: e.retry_after_ms ?? null, field: e.field ?? null,
})

const mineOf = (mine) => new Map(Object.entries(mine))

// Events --------------------------------------------------------------------------------------------------------

const numbered = (e) => ({ room: e.room, seq: e.seq, prev: e.prev ?? e.seq - 1 })
const ofMember = (e) => ({
  ...numbered(e), member: memberOf(e.member), by: userOf(e.by) ?? null, memberCount: e.member_count ?? null,
})
const ofMessage = (e) => ({ ...numbered(e), message: messageOf(e.message) })

const EVENTS = {
  "reply": (e) => ({ ref: e.ref, ok: e.ok, result: e.result, error: e.ok ? null : errorOf(e.error) }),
  "hello": (e) => ({
    protocol: e.protocol, user: userOf(e.user), server: e.server, heartbeatS: e.heartbeat_s, limits: limitsOf(e.limits),
    flow: e.flow ?? null, rooms: e.rooms.map(stateOf), roomsVersion: e.rooms_version, more: e.more ?? false,
  }),
  "message.posted": ofMessage,
  "message.changed": ofMessage,
  "room.changed": (e) => ({ ...numbered(e), state: roomOf(e.state) }),
  "member.joined": ofMember,
  "member.changed": ofMember,
  "member.left": ofMember,
  "changes": (e) => ({
    room: e.room, epoch: e.epoch, messages: e.messages.map(messageOf), mine: mineOf(e.mine),
    members: e.members.map(memberOf), state: roomOf(e.state) ?? null,
  }),
  "synced": (e) => ({ room: e.room, epoch: e.epoch, seq: e.seq }),
  "reset": (e) => ({ room: e.room, epoch: e.epoch, seq: e.seq, reason: e.reason, state: stateOf(e.state) }),
  "room.added": (e) => ({ state: stateOf(e.state), roomsVersion: e.rooms_version }),
  "room.removed": (e) => ({ room: e.room, roomsVersion: e.rooms_version }),
  "heads": (e) => ({ rooms: new Map(Object.entries(e.rooms)), roomsVersion: e.rooms_version, serverTime: e.server_time }),
  "read.changed": (e) => ({ room: e.room, ...readOf(e) }),
  "notice": (e) => ({ payload: e.payload }),
  "typing": (e) => ({ room: e.room, user: e.user, active: e.active }),
  "lagging": (e) => ({ rooms: e.rooms }),
  "drain": (e) => ({ reconnectInMs: e.reconnect_in_ms }),
  "error": (e) => ({ error: errorOf(e.error) }),
}

/**
 * The events of one server frame, in order; unknown types are left out.
 * @param {string} frame
 * @throws {SyntaxError} the frame is not JSON @throws {TypeError} a known event lacks a field
 */
export function decode(frame) {
  const value = JSON.parse(frame)
  return (Array.isArray(value) ? value : [value])
    .filter((each) => Object.hasOwn(EVENTS, each?.type))
    .map((each) => ({ type: each.type, ...EVENTS[each.type](each) }))
}

// Commands and their results ------------------------------------------------------------------------------------

const readOf = (r) => ({ read: r.read, unread: r.unread, mentions: r.mentions, rev: r.rev })
const oneRoom = (r) => ({ room: stateOf(r.room) })
const asItIs = (r) => r

const RESULTS = {
  "sync": (r) => ({ rooms: new Map(Object.entries(r.rooms)) }),
  "room.list": (r) => ({ rooms: r.rooms.map(stateOf), more: r.more }),
  "room.create": oneRoom,
  "room.direct": oneRoom,
  "room.join": oneRoom,
  "room.update": oneRoom,
  "member.list": (r) => ({ members: r.members.map(memberOf), more: r.more, epoch: r.epoch, seq: r.seq }),
  "message.post": (r) => ({
    id: r.id, number: r.number, seq: r.seq, epoch: r.epoch, createdAt: r.created_at, duplicate: r.duplicate,
  }),
  "history": (r) => ({
    messages: r.messages.map(messageOf), mine: mineOf(r.mine), moreBefore: r.more_before, moreAfter: r.more_after,
    members: (r.members ?? []).map(memberOf), quoted: (r.quoted ?? []).map(messageOf), epoch: r.epoch, seq: r.seq,
  }),
  "read": readOf,
}

const FIELDS = { clientId: "client_id", replyTo: "reply_to" }

/** The result of a reply to a command of `type`, in the names used inside. */
export const resultOf = (type, result) => (RESULTS[type] ?? asItIs)(result)

/** What a page brings of a room in its first paint: the state and a page of history, read in one snapshot. */
export const firstOf = ({ state, history }) => ({ state: stateOf(state), history: resultOf("history", history) })

/**
 * A command as one frame: UTF-8 without needless escapes, absent fields left out. Sync takes a Map of cursors.
 * @param {{type: string} & object} command
 * @param {number} [ref] for every command but `typing` and `received`
 */
export function encode(command, ref) {
  const { type, ...fields } = command
  const wire = { type, ref }
  for (const [name, value] of Object.entries(fields)) {
    wire[FIELDS[name] ?? name] = value instanceof Map ? Object.fromEntries(value) : value
  }
  return JSON.stringify(wire)
}
