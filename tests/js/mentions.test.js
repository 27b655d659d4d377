import { completed, fitting, mentionAt } from "/chat/js/mentions.js"
import { assert, test } from "./runner.js"

const at = (text) => mentionAt(text, text.length)

test("a handle is only completed where it stands alone, as the server reads it", () => {
  assert.equal(at("hi @"), { from: 3, query: "" })
  assert.equal(at("(@Zoë.k"), { from: 1, query: "Zoë.k" })
  assert.equal(["ana@", "ana@host", "/@a", "@@a", "@ a", "@a b", "@-a"].map(at), [null, null, null, null, null, null, null])
})

test("only what is before the caret is matched, and the rest of the line stays", () => {
  const text = "to @be, and so on"
  assert.equal(mentionAt(text, 6), { from: 3, query: "be" })
  assert.equal(completed(text, { from: 3 }, 6, "ben"), { text: "to @ben, and so on", caret: 7 })
  assert.equal(completed("@b now", { from: 0 }, 2, "ben"), { text: "@ben now", caret: 5 })
})

const member = (id, name, handle) => ({ user: { id, name }, handle })
const PEOPLE = [
  member("1", "Ana Zúñiga", "ana"), member("2", "Ben Li", "ben"), member("3", "Susan Bell", "sbell"), member("4", "Without", null),
]
const names = (query) => fitting(PEOPLE, query, "1").map(({ handle }) => handle)

test("people match by handle, then by name, then by any part; never oneself, nor anybody without a handle", () => {
  assert.equal(names(""), ["ben", "sbell"])
  assert.equal(names("be"), ["ben", "sbell"])
  assert.equal(names("SUS"), ["sbell"])
  assert.equal(names("ell"), ["sbell"])
  assert.equal(fitting(PEOPLE, "zuniga", "2").map(({ handle }) => handle), ["ana"])
  assert.equal(names("nobody"), [])
})
