// The wire, version 1 (docs/protocol.md): the only module that knows its keys and close codes. It turns frames into
// events and commands into frames; inside, names are camelCase. Fields and events that it does not know are left out.

import { count, flag, list, maybe, moment, name, object, oneOf, positive, table, text, whole } from "./fields.js"

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

/** Of the times that a server may name before the next try. */
const SHORTEST_WAIT_MS = 100
const LONGEST_WAIT_MS = 3_600_000

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

const userOf = (u) => ({ id: text(u.id), name: text(u.name), avatar: maybe(u.avatar, text) })

const memberOf = (m) => ({
  user: userOf(m.user), role: text(m.role), joinedAt: moment(m.joined_at), leftAt: maybe(m.left_at, moment),
  handle: maybe(m.handle, text), by: maybe(m.by, userOf),
})

const roomOf = (r) => ({
  id: name(r.id), slug: text(r.slug), name: text(r.name), kind: text(r.kind), topic: text(r.topic),
  archived: flag(r.archived), memberCount: whole(r.member_count), lastMessageAt: maybe(r.last_message_at, moment),
})

const stateOf = (r) => ({
  ...roomOf(r), epoch: text(r.epoch), seq: whole(r.seq), lastNumber: whole(r.last_number), ...readOf(r),
  role: maybe(r.role, text), notify: text(r.notify), online: maybe(r.online, whole),
  mayPost: maybe(r.may_post, flag), gone: maybe(r.gone, whole) ?? 0,
})

const replyToOf = (r) => ({ id: text(r.id), number: whole(r.number) })

const reactionOf = (r) => ({ emoji: text(r.emoji), count: whole(r.count), users: texts(r.users) })

const messageOf = (m) => ({
  id: text(m.id), room: text(m.room), number: whole(m.number), seq: whole(m.seq), changedSeq: whole(m.changed_seq),
  author: maybe(m.author, userOf), clientId: maybe(m.client_id, text), body: text(m.body), html: text(m.html),
  kind: text(m.kind), replyTo: maybe(m.reply_to, replyToOf), attachments: list(m.attachments, object),
  reactions: list(m.reactions, reactionOf), mentions: texts(m.mentions), createdAt: moment(m.created_at),
  editedAt: maybe(m.edited_at, moment), deletedAt: maybe(m.deleted_at, moment),
})

const limitsOf = (l) => ({
  frameBytes: whole(l.frame_bytes), bodyChars: whole(l.body_chars), syncRooms: count(l.sync_rooms),
  history: whole(l.history), catchUp: whole(l.catch_up), unanswered: count(l.unanswered),
})

const flowOf = (f) => ({ frames: count(f.frames), seconds: positive(f.seconds) })

/** @throws {TypeError} no error of the contract: nobody can tell from it whether to try again */
const errorOf = (e) => new ChatError({
  code: name(e.code), message: text(e.message), retry: flag(e.retry), retryAfterMs: waitOf(e.retry_after_ms),
  field: maybe(e.field, text),
})

/** What says no time that one can wait is as good as nothing; and nobody is told to come back a thousand times a second. */
const waitOf = (ms) => (Number.isFinite(ms) && ms > 0 ? Math.min(Math.max(ms, SHORTEST_WAIT_MS), LONGEST_WAIT_MS) : null)

/** In the place of a reply that holds nothing usable: as if the server had failed. The same may be asked again. */
const unreadable = (cause) => {
  const error = new ChatError({ code: "server.error", message: "The server's answer can't be read.", retry: true })
  return Object.assign(error, { cause })
}

const texts = (all) => list(all, text)
const mineOf = (mine) => table(mine, texts)

// Events --------------------------------------------------------------------------------------------------------

const numbered = (e) => {
  const seq = whole(e.seq)
  return { room: text(e.room), seq, prev: maybe(e.prev, whole) ?? seq - 1 }
}
const ofMember = (e) => ({
  ...numbered(e), member: memberOf(e.member), by: maybe(e.by, userOf), memberCount: maybe(e.member_count, whole),
})
const ofMessage = (e) => ({ ...numbered(e), message: messageOf(e.message) })
const position = (e) => ({ room: text(e.room), epoch: text(e.epoch), seq: whole(e.seq) })

const helloOf = (e) => ({
  protocol: e.protocol, user: userOf(e.user), server: e.server, heartbeatS: positive(e.heartbeat_s),
  limits: limitsOf(e.limits), flow: maybe(e.flow, flowOf), rooms: list(e.rooms, stateOf),
  roomsVersion: whole(e.rooms_version), more: maybe(e.more, flag) ?? false,
})

/** It ends its command whatever it holds; one that says not even which costs the connection, and so ends them all. */
function replyOf(e) {
  const ref = whole(e.ref)
  try {
    return flag(e.ok) ? { ref, ok: true, result: e.result, error: null } : { ref, ok: false, error: errorOf(e.error) }
  } catch (cause) {
    return { ref, ok: false, error: unreadable(cause) }
  }
}

const EVENTS = {
  "reply": replyOf,
  // What another version greets with is not for this one to read.
  "hello": (e) => (e.protocol === PROTOCOL_VERSION ? helloOf(e) : { protocol: e.protocol }),
  "message.posted": ofMessage,
  "message.changed": ofMessage,
  "room.changed": (e) => ({ ...numbered(e), state: roomOf(e.state) }),
  "member.joined": ofMember,
  "member.changed": ofMember,
  "member.left": ofMember,
  "changes": (e) => ({
    room: text(e.room), epoch: text(e.epoch), messages: list(e.messages, messageOf), mine: mineOf(e.mine),
    members: list(e.members, memberOf), state: maybe(e.state, roomOf),
  }),
  "synced": position,
  "reset": (e) => ({ ...position(e), reason: e.reason, state: stateOf(e.state) }),
  "room.added": (e) => ({ state: stateOf(e.state), roomsVersion: whole(e.rooms_version) }),
  "room.removed": (e) => ({ room: text(e.room), roomsVersion: whole(e.rooms_version) }),
  "heads": (e) => ({ rooms: table(e.rooms, whole), roomsVersion: whole(e.rooms_version), serverTime: e.server_time }),
  "read.changed": (e) => ({ room: text(e.room), ...readOf(e) }),
  "notice": (e) => ({ payload: e.payload }),
  "typing": (e) => ({ room: text(e.room), user: text(e.user), active: flag(e.active) }),
  "lagging": (e) => ({ rooms: texts(e.rooms) }),
  "drain": (e) => ({ reconnectInMs: whole(e.reconnect_in_ms) }),
  "error": (e) => ({ error: errorOf(e.error) }),
}

/**
 * The events of one server frame, in order; unknown types are left out.
 * @param {string} frame
 * @throws {SyntaxError} the frame is not JSON
 * @throws {TypeError} a known event is not what it should be; for replies see `replyOf`
 */
export function decode(frame) {
  const value = JSON.parse(frame)
  return (Array.isArray(value) ? value : [value])
    .filter((each) => Object.hasOwn(EVENTS, each?.type))
    .map((each) => ({ type: each.type, ...EVENTS[each.type](each) }))
}

// Commands and their results ------------------------------------------------------------------------------------

const readOf = (r) => ({ read: whole(r.read), unread: whole(r.unread), mentions: whole(r.mentions), rev: whole(r.rev) })
const oneRoom = (r) => ({ room: stateOf(r.room) })
const changed = (r) => ({ seq: whole(r.seq) })
const reacted = (r) => ({ ...changed(r), mine: texts(r.mine) })

const RESULTS = {
  "sync": (r) => ({ rooms: table(r.rooms, oneOf("live", "reset", "denied")) }),
  "room.list": (r, { scope }) => ({ rooms: list(r.rooms, scope === "open" ? roomOf : stateOf), more: flag(r.more) }),
  "room.create": oneRoom,
  "room.direct": oneRoom,
  "room.join": oneRoom,
  "room.update": oneRoom,
  "member.list": (r) => ({
    members: list(r.members, memberOf), more: flag(r.more), epoch: text(r.epoch), seq: whole(r.seq),
  }),
  "message.post": (r) => ({
    id: text(r.id), number: whole(r.number), seq: whole(r.seq), epoch: text(r.epoch), createdAt: text(r.created_at),
    duplicate: flag(r.duplicate),
  }),
  "message.edit": changed,
  "message.delete": changed,
  "reaction.add": reacted,
  "reaction.remove": reacted,
  "history": (r) => ({
    messages: list(r.messages, messageOf), mine: mineOf(r.mine), moreBefore: flag(r.more_before),
    moreAfter: flag(r.more_after), members: list(r.members ?? [], memberOf), quoted: list(r.quoted ?? [], messageOf),
    epoch: text(r.epoch), seq: whole(r.seq),
  }),
  "read": readOf,
}

const FIELDS = { clientId: "client_id", replyTo: "reply_to" }

/**
 * The result of the reply to a command, in the names used inside; as it came where there is nothing to know of it.
 * @throws {ChatError} `server.error`: it is none of that command's
 */
export function resultOf(command, result) {
  try {
    return (RESULTS[command.type] ?? object)(result, command)
  } catch (cause) {
    throw unreadable(cause)
  }
}

/** What a page brings of a room in its first paint: the state and a page of history, read in one snapshot. */
export const firstOf = ({ state, history }) => ({ state: stateOf(state), history: resultOf({ type: "history" }, history) })

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
