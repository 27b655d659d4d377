// Drafts were kept in localStorage, which a browser may write to disk half a minute late.

import { uuid } from "./uuid.js"

const PREFIX = "chat-draft|"

/**
 * Hands over each draft that is still there.
 * @param {(draft: import("./memory-store.js").StoredDraft) => void} keep
 * @returns {() => void} removes them, once the new place has them for certain
 */
export function takeOverDrafts(keep) {
  try {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX))
    for (const name of names) {
      const key = name.slice(PREFIX.length)
      const [owner, room] = [key.slice(0, key.lastIndexOf("|")), key.slice(key.lastIndexOf("|") + 1)]
      keep({ id: uuid(), ...JSON.parse(localStorage.getItem(name)), key, owner, room })
    }
    return () => names.forEach((name) => localStorage.removeItem(name))
  } catch {
    return () => {} // the browser is set to store nothing, or what it stored can't be read
  }
}
