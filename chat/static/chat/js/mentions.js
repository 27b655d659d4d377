// Completes mentions: finds the "@…" at the caret, the people who match it, and the text with the chosen handle.

import { fold } from "./fold.js"

const MOST = 8
/** Like the server, this takes a handle only where it stands alone, not in an e-mail address or a path. */
const BEFORE_CARET = /(?<![\p{L}\p{N}_@./+-])@((?:[\p{L}\p{N}_][\p{L}\p{N}_.+-]*)?)$/u
const LONGEST = 150

/** @returns {{from: number, query: string} | null} where the "@" before the caret is, and the text after it */
export function mentionAt(text, caret) {
  const line = text.slice(Math.max(0, caret - LONGEST), caret)
  const match = BEFORE_CARET.exec(line)
  return match && { from: caret - match[0].length, query: match[1] }
}

/**
 * Returns the people who match, best first: by the start of the handle, the start of a name, or any part.
 * @param {import("./protocol.js").Member[]} members
 */
export function fitting(members, query, me) {
  const wanted = fold(query)
  const rank = ({ handle, user }) => {
    const words = fold(user.name)
    if (fold(handle).startsWith(wanted)) return 0
    if (words.split(/\s+/).some((word) => word.startsWith(wanted))) return 1
    return fold(handle).includes(wanted) || words.includes(wanted) ? 2 : null
  }
  return members
    .filter(({ handle, user }) => handle && user.id !== me)
    .map((member) => ({ member, rank: rank(member) }))
    .filter((each) => each.rank !== null)
    .sort((a, b) => a.rank - b.rank || a.member.user.name.localeCompare(b.member.user.name))
    .slice(0, MOST)
    .map(({ member }) => member)
}

/** @returns {{text: string, caret: number}} the text with the whole handle, and the caret after it */
export function completed(text, { from }, caret, handle) {
  const rest = text.slice(caret)
  const space = /^(?:$|[\p{L}\p{N}_])/u.test(rest) ? " " : ""
  const before = `${text.slice(0, from)}@${handle}${space}`
  return { text: before + rest, caret: before.length + (/^\s/.test(rest) ? 1 : 0) }
}
