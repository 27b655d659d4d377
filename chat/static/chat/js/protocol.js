// Version 1 of the wire protocol (docs/protocol.md). Only this module knows its keys and close codes: it turns frames
// into events and commands into frames. All other modules see camelCase names. Unknown fields and events are left out.

export const PROTOCOL_VERSION = 1
export const SUBPROTOCOL = "chat.v1"

/** The limits of a server with default settings; `hello` brings the real ones. */
export const DEFAULT_LIMITS = {
  frameBytes: 64 * 1024, bodyChars: 10_000, syncRooms: 500, history: 100, catchUp: 1_000, unanswered: 32,
  deadlineS: 0,
}

/** The close codes that this client treats specially. */
export const Close = {
  heartbeatMissed: 4001, notSignedIn: 4501, banned: 4503, sessionEnded: 4509, unsupported: 4510,
}

/** Whether a client that was closed with `code` may reconnect after its back-off. */
export const mayReconnect = (code) => !(code >= 4500 && code <= 4999)

/** A refusal or a failure with a stable dotted code; `retry` says whether the same request may succeed later. */
export class ChatError extends Error {
  constructor({ code, message = code, retry = false, retryAfterMs = null, field = null }) {
    super(message)
    this.name = "ChatError"
    Object.assign(this, { code, retry, retryAfterMs, field })
  }
}

/** The bounds that `retry_after_ms` is clamped to. */
const SHORTEST_WAIT_MS = 100
const LONGEST_WAIT_MS = 3_600_000

const encoder = new TextEncoder()

/** The size of a frame in UTF-8 bytes, as the server counts it. */
export const frameBytes = (frame) => encoder.encode(frame).length

/** Whether the server can store the text: no U+0000 and no lone surrogate. */
export const isStorable = (text) => !text.includes("\0") && !/\p{Surrogate}/u.test(text)

// Fields --------------------------------------------------------------------------------------------------------
// Each reader returns a wire value, and throws TypeError if it has the wrong form, so that nothing malformed gets in: a
// message without a date, for example, would break every attempt to draw it. The error does not quote the value, which
// may be what somebody wrote.

const fit = (value, isFit) => {
  if (isFit) return value
  throw new TypeError("unusable")
}

const isWhole = (value) => Number.isSafeInteger(value) && value >= 0

const text = (value) => fit(value, typeof value === "string")
const name = (value) => fit(text(value), value)
const flag = (value) => fit(value, typeof value === "boolean")
const whole = (value) => fit(value, isWhole(value))
const count = (value) => fit(whole(value), value)
const positive = (value) => fit(value, Number.isFinite(value) && value > 0)
const moment = (value) => fit(text(value), !Number.isNaN(Date.parse(value)))
const object = (value) => fit(value, value && typeof value === "object" && !Array.isArray(value))
const oneOf = (...values) => (value) => fit(value, values.includes(value))

const listOf = (of) => (value) => fit(value, Array.isArray(value)).map((each) => of(each))
const tableOf = (of) => (value) => new Map(Object.entries(object(value)).map(([key, each]) => [key, of(each)]))
/** Reads absent fields and null, which mean the same, as `instead`. */
const optional = (of, instead = null) => (value) => (value === undefined || value === null ? instead : of(value))
/** For fields whose form this client does not check. */
const anything = (value) => value

const camel = (key) => key.replace(/_(.)/g, (_, letter) => letter.toUpperCase())

/**
 * Makes a reader of objects from wire keys and a reader for each; its result has camelCase keys.
 * @param {Record<string, (value: any) => any>} fields
 */
function shape(fields) {
  const readers = Object.entries(fields).map(([key, of]) => [key, camel(key), of])
  return (value) => Object.fromEntries(readers.map(([key, name, of]) => [name, of(value[key])]))
}

// Objects -------------------------------------------------------------------------------------------------------

/** @typedef {{id: string, name: string, avatar: string | null}} User */
/** @typedef {{user: User, role: string, joinedAt: string, leftAt: string | null, handle: string | null,
 *   by: User | null}} Member by: who added or, after leftAt, removed them */
/** @typedef {{id: string, slug: string, name: string, kind: string, topic: string, archived: boolean,
 *   memberCount: number, lastMessageAt: string | null}} RoomFields as everybody sees a room */
/** @typedef {RoomFields & {epoch: string, seq: number, lastNumber: number, read: number, unread: number,
 *   mentions: number, rev: number, role: string | null, notify: string, online: number | null,
 *   mayPost: boolean | null, mayModerate: boolean | null, whySilent: string | null, gone: number}} RoomState
 *   mayPost and mayModerate are null where the role decides; gone: how many names at the end of a direct room's name
 *   are those of deleted accounts */
/** @typedef {{id: string, room: string, number: number, seq: number, changedSeq: number, author: User | null,
 *   clientId: string | null, body: string, html: string, kind: string, replyTo: {id: string, number: number} | null,
 *   attachments: object[], reactions: {emoji: string, count: number, users: string[]}[], mentions: string[],
 *   createdAt: string, editedAt: string | null, deletedAt: string | null}} Message */

const userOf = shape({ id: text, name: text, avatar: optional(text) })

const memberOf = shape({
  user: userOf, role: text, joined_at: moment, left_at: optional(moment), handle: optional(text), by: optional(userOf),
})

const ROOM = {
  id: name, slug: text, name: text, kind: text, topic: text, archived: flag, member_count: whole,
  last_message_at: optional(moment),
}
const roomOf = shape(ROOM)

const READ = { read: whole, unread: whole, mentions: whole, rev: whole }
const stateOf = shape({
  ...ROOM, ...READ, epoch: text, seq: whole, last_number: whole, role: optional(text), notify: text,
  online: optional(whole), may_post: optional(flag), may_moderate: optional(flag), why_silent: optional(text), gone: optional(whole, 0), run: optional(text),
})

const texts = listOf(text)
const messageOf = shape({
  id: text, room: text, number: whole, seq: whole, changed_seq: whole, author: optional(userOf),
  client_id: optional(text), body: text, html: text, kind: text,
  reply_to: optional(shape({ id: text, number: whole })), attachments: listOf(object),
  reactions: listOf(shape({ emoji: text, count: whole, users: texts })), mentions: texts, created_at: moment,
  edited_at: optional(moment), deleted_at: optional(moment),
})
const messagesOf = listOf(messageOf)
const membersOf = listOf(memberOf)

const limitsOf = shape({
  frame_bytes: whole, body_chars: whole, sync_rooms: count, history: whole, catch_up: whole, unanswered: count,
  deadline_s: optional(positive, 0),
})

/** @throws {TypeError} it is no error of the protocol, and does not say whether to retry */
const errorOf = (e) => new ChatError({
  code: name(e.code), message: text(e.message), retry: flag(e.retry), retryAfterMs: waitOf(e.retry_after_ms),
  field: optional(text)(e.field),
})

/** Returns null for a value that is no wait; clamps others, so that nobody retries a thousand times a second. */
const waitOf = (ms) => (Number.isFinite(ms) && ms > 0 ? Math.min(Math.max(ms, SHORTEST_WAIT_MS), LONGEST_WAIT_MS) : null)

/** Stands for a reply that holds nothing usable, as if the server had failed: the command may be repeated. */
const unreadable = (cause) => {
  const error = new ChatError({ code: "server.error", message: "The server's answer can't be read.", retry: true })
  return Object.assign(error, { cause })
}

const mineOf = tableOf(texts)

// Events --------------------------------------------------------------------------------------------------------

/** Makes a reader of a numbered event. Without `prev`, the event follows the seq before its own. */
const numbered = (fields) => {
  const read = shape({ room: text, seq: whole, prev: optional(whole), run: optional(text), upto: optional(whole), ...fields })
  return (e) => {
    const event = read(e)
    event.prev ??= event.seq - 1
    return event
  }
}
const ofMember = numbered({ member: memberOf, by: optional(userOf), member_count: optional(whole) })
const ofMessage = numbered({ message: messageOf })
const POSITION = { room: text, epoch: text, seq: whole, run: optional(text) }

const helloOf = shape({
  protocol: anything, user: userOf, server: anything, heartbeat_s: positive, limits: limitsOf,
  flow: optional(shape({ frames: count, seconds: positive, bytes: optional(count, 262_144) })), rooms: listOf(stateOf), rooms_version: whole,
  more: optional(flag, false), features: optional(listOf(text), []),
})

/** Reads a reply, which ends its command whatever it holds. Without a `ref` it ends the connection, and so all. */
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
  // The greeting of another protocol version has fields that this one does not know.
  "hello": (e) => (e.protocol === PROTOCOL_VERSION ? helloOf(e) : { protocol: e.protocol }),
  "message.posted": ofMessage,
  "message.changed": ofMessage,
  "room.changed": numbered({ state: roomOf }),
  "member.joined": ofMember,
  "member.changed": ofMember,
  "member.left": ofMember,
  "changes": shape({
    room: text, epoch: text, messages: messagesOf, mine: mineOf, members: membersOf, state: optional(roomOf),
  }),
  "synced": shape(POSITION),
  "reset": shape({ ...POSITION, reason: anything, state: stateOf }),
  "room.added": shape({ state: stateOf, rooms_version: whole }),
  "room.removed": shape({ room: text, rooms_version: whole }),
  "heads": shape({ rooms: tableOf(whole), rooms_version: whole, server_time: anything }),
  "read.changed": shape({ room: text, ...READ }),
  "notice": shape({ payload: anything }),
  "typing": shape({ room: text, user: text, active: flag }),
  "presence": shape({ users: tableOf(text), online: optional(tableOf(optional(whole)), new Map()) }),
  "lagging": shape({ rooms: texts }),
  "drain": shape({ reconnect_in_ms: whole }),
  "error": shape({ error: errorOf }),
}

/**
 * Decodes the events of one server frame, in order; unknown types are left out.
 * @param {string} frame
 * @throws {SyntaxError} the frame is not JSON
 * @throws {TypeError} a known event has the wrong form; for replies see `replyOf`
 */
export function decode(frame) {
  const value = JSON.parse(frame)
  return (Array.isArray(value) ? value : [value])
    .filter((each) => Object.hasOwn(EVENTS, each?.type))
    .map((each) => ({ type: each.type, ...EVENTS[each.type](each) }))
}

// Commands and their results ------------------------------------------------------------------------------------

const oneRoom = shape({ room: stateOf })
const changed = shape({ seq: whole })
const reacted = shape({ seq: whole, mine: texts })
const ownRooms = shape({ rooms: listOf(stateOf), more: flag })
const openRooms = shape({ rooms: listOf(roomOf), more: flag })

const RESULTS = {
  "sync": shape({ rooms: tableOf(oneOf("live", "reset", "denied")) }),
  "room.list": (r, { scope }) => (scope === "open" ? openRooms : ownRooms)(r),
  "room.create": oneRoom,
  "room.direct": oneRoom,
  "room.join": oneRoom,
  "room.update": oneRoom,
  "member.list": shape({ members: membersOf, more: flag, epoch: text, seq: whole, run: optional(text) }),
  "message.post": shape({ id: text, number: whole, seq: whole, epoch: text, created_at: text, duplicate: flag }),
  "message.edit": changed,
  "message.delete": changed,
  "reaction.add": reacted,
  "reaction.remove": reacted,
  "history": shape({
    messages: messagesOf, mine: mineOf, more_before: flag, more_after: flag, members: optional(membersOf, []),
    quoted: optional(messagesOf, []), epoch: text, seq: whole, run: optional(text),
  }),
  "read": shape(READ),
}

const FIELDS = { clientId: "client_id", replyTo: "reply_to" }

/**
 * Reads the result of a command into camelCase names. If the command is not listed above, the result stays as it came.
 * @throws {ChatError} `server.error`: it has the wrong form for that command
 */
export function resultOf(command, result) {
  try {
    return (RESULTS[command.type] ?? object)(result, command)
  } catch (cause) {
    throw unreadable(cause)
  }
}

/** Reads a room's data embedded in a page: its state and a page of history, both from one snapshot. */
export const firstOf = ({ state, history }) => ({ state: stateOf(state), history: resultOf({ type: "history" }, history) })

/**
 * Encodes a command as one frame, without needless escapes or absent fields. `sync` takes a Map of cursors.
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
