// Links to the site's own pages while the server is away: the person stays on this page, where their messages are kept,
// and is told so, instead of seeing the browser's error page.

import { say } from "./dialogs.js"
import { texts } from "./texts.js"

/** A shorter interruption than this is over before a page has loaded. */
const QUIET_MS = 2_000
const ANSWER_MS = 3_000
/** The statuses with which a proxy answers for a server that is not there. */
const NOBODY_THERE = [502, 503, 504]

/** Intercepts links while the connection is lost. @param {import("../client.js").ChatClient} client */
export function holdLinks(client) {
  let lostAt = performance.now()
  client.on("connection", ({ name }) => {
    if (name === "live") lostAt = null
    else lostAt ??= performance.now()
  })
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".chat a[href]")
    if (!link || event.defaultPrevented || !isPlain(event) || !leadsAway(link)) return
    const isLost = lostAt !== null && performance.now() - lostAt >= QUIET_MS
    if (navigator.onLine && !isLost) return
    event.preventDefault()
    follow(link.href)
  })
}

async function follow(href) {
  // Perhaps only the WebSocket is lost: a request shows whether the server is there.
  /** @type {RequestInit} */
  const options = { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(ANSWER_MS) }
  const answer = await fetch(href, options).catch(() => null)
  if (answer && !NOBODY_THERE.includes(answer.status)) location.assign(href)
  else say(texts.pageWaits)
}

/** Whether a click opens the link on this page: with a modifier key or another button it opens elsewhere. */
const isPlain = ({ button, altKey, ctrlKey, metaKey, shiftKey }) =>
  button === 0 && !(altKey || ctrlKey || metaKey || shiftKey)

const leadsAway = ({ origin, href, target, hash }) =>
  origin === location.origin && !target && !(hash && href.split("#")[0] === location.href.split("#")[0])
