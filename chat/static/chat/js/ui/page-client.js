import { ChatClient } from "../client.js"
import { config } from "./page-config.js"

let client = null

/** Returns the one client of this page, whose connection all elements share. */
export function pageClient() {
  if (!client) {
    const { socket, user, limits, timeline } = config
    const url = new URL(socket, location.href)
    url.protocol = url.protocol.replace("http", "ws")
    client = new ChatClient({ url: url.href, user, limits, manyUnread: timeline.manyUnread })
  }
  return client
}
