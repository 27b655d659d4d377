// The wire, version 1 (docs/protocol.md): the only module that knows its keys and close codes. It turns frames into
// events and commands into frames; inside, names are camelCase. Fields and events that it does not know are left out.

export const PROTOCOL_VERSION = 1
export const SUBPROTOCOL = "chat.v1"

/** The limits of a server with default settings; `hello` brings the real ones. */
export const DEFAULT_LIMITS = {
  frameBytes: 64 * 1024, bodyChars: 10_000, syncRooms: 500, history: 100, catchUp: 1_000, unanswered: 32,
}

/** Close codes that clients give a meaning of their own. */
export const Close = {
  heartbeatMissed: 4001, notSignedIn: 4501, banned: 4503, sessionEnded: 4509, unsupported: 4510,
}

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

// Fields --------------------------------------------------------------------------------------------------------
// Each reader returns a value of the wire and throws TypeError for any other than it should be, so that nothing half-read
// gets in: a message without a date, say, would stop the page at each attempt to draw it. The error names no value, for it
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
/** Absent fields and null say the same; so does `instead`, which stands for them. */
const optional = (of, instead = null) => (value) => (value === undefined || value === null ? instead : of(value))
/** For what nobody here reads closely. */
const anything = (value) => value

const camel = (key) => key.replace(/_(.)/g, (_, letter) => letter.toUpperCase())

/**
 * A reader of objects: keys of the wire and how to read each; the result has them in camelCase.
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
 *   mayPost and mayModerate are null where they go with the role; gone: so many names at the end of a direct room's
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
  online: optional(whole), may_post: optional(flag), may_moderate: optional(flag), why_silent: optional(text), gone: optional(whole, 0),
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
})

/** @throws {TypeError} no error of the contract: nobody can tell from it whether to try again */
const errorOf = (e) => new ChatError({
  code: name(e.code), message: text(e.message), retry: flag(e.retry), retryAfterMs: waitOf(e.retry_after_ms),
  field: optional(text)(e.field),
})

/** What says no time that one can wait is as good as nothing; and nobody is told to come back a thousand times a second. */
const waitOf = (ms) => (Number.isFinite(ms) && ms > 0 ? Math.min(Math.max(ms, SHORTEST_WAIT_MS), LONGEST_WAIT_MS) : null)

/** In the place of a reply that holds nothing usable: as if the server had failed. The same may be asked again. */
const unreadable = (cause) => {
  const error = new ChatError({ code: "server.error", message: "The server's answer can't be read.", retry: true })
  return Object.assign(error, { cause })
}

const mineOf = tableOf(texts)

// Events --------------------------------------------------------------------------------------------------------

/** A reader of a numbered event: without `prev` it follows the seq before its own. */
const numbered = (fields) => {
  const read = shape({ room: text, seq: whole, prev: optional(whole), ...fields })
  return (e) => {
    const event = read(e)
    event.prev ??= event.seq - 1
    return event
  }
}
const ofMember = numbered({ member: memberOf, by: optional(userOf), member_count: optional(whole) })
const ofMessage = numbered({ message: messageOf })
const POSITION = { room: text, epoch: text, seq: whole }

const helloOf = shape({
  protocol: anything, user: userOf, server: anything, heartbeat_s: positive, limits: limitsOf,
  flow: optional(shape({ frames: count, seconds: positive, bytes: optional(count, 262_144) })), rooms: listOf(stateOf), rooms_version: whole,
  more: optional(flag, false), features: optional(listOf(text), []),
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
  "lagging": shape({ rooms: texts }),
  "drain": shape({ reconnect_in_ms: whole }),
  "error": shape({ error: errorOf }),
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
  "member.list": shape({ members: membersOf, more: flag, epoch: text, seq: whole }),
  "message.post": shape({ id: text, number: whole, seq: whole, epoch: text, created_at: text, duplicate: flag }),
  "message.edit": changed,
  "message.delete": changed,
  "reaction.add": reacted,
  "reaction.remove": reacted,
  "history": shape({
    messages: messagesOf, mine: mineOf, more_before: flag, more_after: flag, members: optional(membersOf, []),
    quoted: optional(messagesOf, []), epoch: text, seq: whole,
  }),
  "read": shape(READ),
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
