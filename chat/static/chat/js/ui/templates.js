// Clones and fills the page's <template> elements. chat/_templates.html renders them once a page, from the partials
// that also make the first paint. A host may override those partials: missing parts are skipped.

import { partsOf } from "./dom.js"

/** Clones a template. @param {string} name @returns {{element: HTMLElement, parts: any}} a copy, and its parts */
export function drawn(name) {
  const { content } = /** @type {HTMLTemplateElement} */ (document.querySelector(`template[data-template="${name}"]`))
  const element = /** @type {HTMLElement} */ (content.firstElementChild.cloneNode(true))
  return { element, parts: { words: element, ...partsOf(element) } }
}

/** Sets the words of a part; null removes the part. */
export function fill(part, words) {
  if (words === null) part?.remove()
  else if (part) part.textContent = words
}
