// Every sentence that scripts show comes translated from chat/web/script_texts.py; here only the names in it are filled in.

import { config } from "./page-config.js"

const fillerOf = (sentence) => (values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name])

/** A sentence by its key; one with `{names}` is a function of an object with their values. */
export const texts = Object.fromEntries(
  Object.entries(config.texts).map(([key, sentence]) => [key, sentence.includes("{") ? fillerOf(sentence) : sentence]),
)

/** What a room is called: of deleted accounts, the server may have spoken in another language. */
export const titleOf = ({ name, gone }) =>
  gone ? [...name.split(", ").slice(0, -gone), ...Array(gone).fill(texts.unknownAuthor)].join(", ") : name

/** What to tell a person about a failure. @param {{code?: string, message?: string}} [error] */
export const sentenceOf = (error) =>
  texts[`error.${error?.code}`] ?? (error?.code ? error.message : texts["error.unexpected"])
