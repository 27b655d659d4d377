// The entry of every page of the chat: one client, the elements on it, and what belongs to the window itself.

import { ChatLobby } from "./chat-lobby.js"
import { ChatRoomList } from "./chat-room-list.js"
import { ChatRoom } from "./chat-room.js"
import { CopyField } from "./copy-field.js"
import { alertAbout } from "./dialogs.js"
import { listenForHelp } from "./keyboard-help.js"
import { holdLinks } from "./links.js"
import { pageClient } from "./page-client.js"
import { config } from "./page-config.js"
import { texts } from "./texts.js"

const title = document.title
const client = pageClient()

customElements.define("chat-room", ChatRoom)
customElements.define("chat-room-list", ChatRoomList)
customElements.define("chat-lobby", ChatLobby)
customElements.define("copy-field", CopyField)

// The title of a host's page is the host's.
if (!config.embed) client.rooms.on("change", () => {
  const { unread } = client.rooms
  const wanted = unread ? `(${unread > 99 ? "99+" : unread}) ${title}` : title
  if (document.title !== wanted) document.title = wanted
})

listenForHelp()
holdLinks(client)

// A timer of a hidden tab may be a minute late; who looks again doesn't wait for it.
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && client.reconnectNow())

await client.start()
if (!client.keepsMessages) alertAbout(texts.notKept)
