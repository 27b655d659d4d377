import { ChatError, encode, frameBytes, isStorable } from "./protocol.js"

/** The ref of a later try may have more digits than one that is measured now. */
const LARGEST_REF = Number.MAX_SAFE_INTEGER

/** The command that posts an item of the outbox. */
export const postOf = ({ room, clientId, body, replyTo }) =>
  ({ type: "message.post", room, clientId, body, replyTo: replyTo ?? undefined })

/**
 * Refuses what the server would refuse for ever; a frame that is too large it can't even answer. The body is trimmed.
 * @param {{room: string, clientId: string, body: string, replyTo: string | null}} item
 * @param {{frameBytes: number, bodyChars: number}} limits
 * @throws {ChatError}
 */
export function checkMessage(item, { frameBytes: most, bodyChars }) {
  if (!item.body) throw refusal("message.empty", "A message needs some text.")
  if (!isStorable(item.body)) throw refusal("message.invalid_text", "The message holds characters that can't be stored.")
  const isTooLong = [...item.body].length > bodyChars
  if (isTooLong || frameBytes(encode(postOf(item), LARGEST_REF)) > most) {
    throw refusal("message.too_long", `A message may have at most ${bodyChars} characters.`)
  }
}

const refusal = (code, message) => new ChatError({ code, message })
