// Links and forms that lead to the site's own pages while the server is away: the person stays on this page, where what
// they have written is kept, and is told so, instead of seeing the browser's error page.

import { say } from "./dialogs.js"
import { texts } from "./texts.js"

/** A shorter interruption than this is over before a page has loaded. */
const QUIET_MS = 2_000
const ANSWER_MS = 3_000
/** The statuses with which a proxy answers for a server that is not there. */
const NOBODY_THERE = [502, 503, 504]

/** Intercepts links and forms while the connection is lost. @param {import("../client.js").ChatClient} client */
export function holdLinks(client) {
  let lostAt = performance.now()
  /** Forms that may go now, for the server has been found. */
  const going = new WeakSet()
  client.on("connection", ({ name }) => {
    if (name === "live") lostAt = null
    else lostAt ??= performance.now()
  })
  const isAway = () => !navigator.onLine || (lostAt !== null && performance.now() - lostAt >= QUIET_MS)
  document.addEventListener("click", async (event) => {
    const link = event.target.closest?.(".chat a[href]")
    if (!link || event.defaultPrevented || !isPlain(event) || !leadsAway(link) || !isAway()) return
    event.preventDefault()
    if (await answers(link.href)) location.assign(link.href)
    else say(texts.pageWaits)
  })
  document.addEventListener("submit", async (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target)
    if (!form.closest(".chat") || event.defaultPrevented || form.method === "dialog" || going.delete(form) || !isAway()) return
    event.preventDefault()
    if (!(await answers(form.action))) return say(texts.formWaits)
    going.add(form)
    form.requestSubmit(event.submitter)
  })
}

/** Whether the server is there: perhaps only the WebSocket is lost. */
async function answers(href) {
  /** @type {RequestInit} */
  const options = { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(ANSWER_MS) }
  const answer = await fetch(href, options).catch(() => null)
  return answer !== null && !NOBODY_THERE.includes(answer.status)
}

/** Whether a click opens the link on this page: with a modifier key or another button it opens elsewhere. */
const isPlain = ({ button, altKey, ctrlKey, metaKey, shiftKey }) =>
  button === 0 && !(altKey || ctrlKey || metaKey || shiftKey)

const leadsAway = ({ origin, href, target, hash }) =>
  origin === location.origin && !target && !(hash && href.split("#")[0] === location.href.split("#")[0])
