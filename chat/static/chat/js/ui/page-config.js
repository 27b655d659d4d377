/** What the view has told this page through `json_script` (chat/web/page_config.py). */
export const config = JSON.parse(document.getElementById("chat-config").textContent)

const urls = config.urls

/** An address with "0" in the place of each id; the site's own prefix, ahead of them, may hold a "0" too. */
function filled(address, ...ids) {
  const parts = address.split("/")
  for (const id of ids.reverse()) parts[parts.lastIndexOf("0")] = encodeURIComponent(id)
  return parts.join("/")
}

export const homeUrl = () => urls.home
export const roomUrl = (room) => filled(urls.room, room)
export const messageUrl = (room, number) => filled(urls.message, room, number)
