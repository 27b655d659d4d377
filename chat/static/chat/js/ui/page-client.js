import { ChatClient } from "../client.js"
import { DEFAULT_LIMITS } from "../protocol.js"

let config = null
let client = null

/** What the view has told this page through `json_script` (chat/web/page_config.py). */
function pageConfig() {
  config ??= JSON.parse(document.getElementById("chat-config").textContent)
  return config
}

/** The one client of this page; all elements share its connection. */
export function pageClient() {
  if (!client) {
    const { socket, user, limits } = pageConfig()
    const url = new URL(socket, location.href)
    url.protocol = url.protocol.replace("http", "ws")
    client = new ChatClient({ url: url.href, user, limits: { ...DEFAULT_LIMITS, ...limits } })
  }
  return client
}

/** The address of a room's page; null: of the list. */
export function roomUrl(id) {
  const { list, room } = pageConfig().urls
  return id === null ? list : room.replace(/0\/$/, `${encodeURIComponent(id)}/`)
}
