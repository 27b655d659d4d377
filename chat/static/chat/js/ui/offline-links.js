// Links to the site's own pages while the server is away: one stays on this page, where what one writes is kept, and is
// told so, in place of the browser's own page of errors.

import { say } from "./dialogs.js"
import { texts } from "./texts.js"

/** A short interruption is over before a page is there. */
const QUIET_MS = 2_000
const ANSWER_MS = 3_000
/** What a proxy says in the place of a server that is not there. */
const NOBODY_THERE = [502, 503, 504]

/** @param {import("../client.js").ChatClient} client */
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
  // The connection alone may be lost: whether there is a server, only a request tells.
  /** @type {RequestInit} */
  const options = { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(ANSWER_MS) }
  const answer = await fetch(href, options).catch(() => null)
  if (answer && !NOBODY_THERE.includes(answer.status)) location.assign(href)
  else say(texts.pageWaits)
}

/** With a key or another button the link opens elsewhere, and this page stays. */
const isPlain = ({ button, altKey, ctrlKey, metaKey, shiftKey }) =>
  button === 0 && !(altKey || ctrlKey || metaKey || shiftKey)

const leadsAway = ({ origin, href, target, hash }) =>
  origin === location.origin && !target && !(hash && href.split("#")[0] === location.href.split("#")[0])
