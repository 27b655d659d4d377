import { ChatError, encode, frameBytes, isStorable } from "./protocol.js"

/** Frames are measured with the longest ref: a later attempt may have more digits in it than the first. */
const LARGEST_REF = Number.MAX_SAFE_INTEGER

/** Makes the command that posts an item of the outbox. */
export const postOf = ({ room, clientId, body, replyTo }) =>
  ({ type: "message.post", room, clientId, body, replyTo: replyTo ?? undefined })

/**
 * Refuses what the server would always refuse. It can't even reply to a frame that is too large, as it reads no ref.
 * @param {{room: string, clientId: string, body: string, replyTo: string | null}} item with a trimmed body
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
