// The entry point of every page of the chat: one client, the custom elements, and what belongs to the window itself.

import { ChatLobby } from "./chat-lobby.js"
import { ChatRoomList } from "./chat-room-list.js"
import { ChatRoom } from "./chat-room.js"
import { CopyField } from "./copy-field.js"
import { alertAbout } from "./dialogs.js"
import { listenForKeys } from "./keyboard-help.js"
import { holdLinks } from "./offline-links.js"
import { closeMenus } from "./menus.js"
import { pageClient } from "./page-client.js"
import { config } from "./page-config.js"
import { texts } from "./texts.js"

const { title } = document
const room = document.querySelector("chat-room")
const client = pageClient()

customElements.define("chat-room", ChatRoom)
customElements.define("chat-room-list", ChatRoomList)
customElements.define("chat-lobby", ChatLobby)
customElements.define("copy-field", CopyField)

const heading = room?.heading

// The title of a host's page belongs to the host.
if (!config.embed) client.rooms.on("change", () => {
  const { unread } = client.rooms
  const name = room?.heading ?? heading
  const named = title.replace(`${heading} · `, () => name && `${name} · `)
  const wanted = unread ? `(${unread > 99 ? "99+" : unread}) ${named}` : named
  if (document.title !== wanted) document.title = wanted
})

// What the server rendered in another time zone has just been redrawn; it renders the next page in the reader's zone.
const { printed, cookie, attributes } = config.zone
const { timeZone } = new Intl.DateTimeFormat().resolvedOptions()
if (timeZone !== printed) document.cookie = `${cookie}=${timeZone}; ${attributes}`

listenForKeys()
closeMenus()
holdLinks(client)

// Timers of a hidden tab may be a minute late; a person who comes back doesn't wait for them.
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && client.reconnectNow())

await client.start()
document.querySelector("[data-not-started]")?.remove()
if (!client.keepsMessages) alertAbout(texts.notKept)
