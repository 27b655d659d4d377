import { assert, test } from "./runner.js"

test("a direct room names deleted accounts in the page's language, whichever the server used", async () => {
  const config = Object.assign(document.createElement("script"), { id: "chat-config", type: "application/json" })
  config.textContent = JSON.stringify({ texts: { unknownAuthor: "Gelöschtes Konto" }, urls: {} })
  document.head.append(config)
  const { titleOf } = await import("/chat/js/ui/texts.js")
  assert.equal(titleOf({ name: "Deleted account", gone: 1 }), "Gelöschtes Konto")
  assert.equal(titleOf({ name: "Eva, Dr., Deleted account", gone: 1 }), "Eva, Dr., Gelöschtes Konto")
  assert.equal(titleOf({ name: "Deleted account, Deleted account", gone: 2 }), "Gelöschtes Konto, Gelöschtes Konto")
  assert.equal(titleOf({ name: "Deleted account", gone: 0 }), "Deleted account")
  config.remove()
})
