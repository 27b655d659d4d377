/** The configuration that the view passes to this page by `json_script` (chat/web/page_config.py). */
export const config = JSON.parse(document.getElementById("chat-config").textContent)

const urls = config.urls

/** Puts ids in place of the last "0"s of an address: the site's prefix, ahead of them, may hold a "0" too. */
function filled(address, ...ids) {
  const parts = address.split("/")
  for (const id of ids.reverse()) parts[parts.lastIndexOf("0")] = encodeURIComponent(id)
  return parts.join("/")
}

export const homeUrl = () => urls.home
export const roomUrl = (room) => filled(urls.room, room)
export const messageUrl = (room, number) => filled(urls.message, room, number)
