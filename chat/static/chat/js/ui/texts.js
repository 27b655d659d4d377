// Every sentence that scripts show comes translated from chat/web/script_texts.py; only placeholders are filled here.

import { config } from "./page-config.js"

const fillerOf = (sentence) => (values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name])

/** The sentences by key; one with {placeholders} is a function that takes an object of their values. */
export const texts = Object.fromEntries(
  Object.entries(config.texts).map(([key, sentence]) => [key, sentence.includes("{") ? fillerOf(sentence) : sentence]),
)

/** Returns a room's title. It names deleted accounts in the page's language: the server may have used another. */
export const titleOf = ({ name, gone }) =>
  gone ? [...name.split(", ").slice(0, -gone), ...Array(gone).fill(texts.unknownAuthor)].join(", ") : name

/** Returns what to tell a person about a failure. @param {{code?: string, message?: string}} [error] */
export const sentenceOf = (error) =>
  texts[`error.${error?.code}`] ?? (error?.code ? error.message : texts["error.unexpected"])
