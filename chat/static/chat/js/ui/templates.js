// What the page's templates look like, to be cloned and filled: chat/_templates.html prints them once a page, from the
// partials that also make the first paint. A host may have changed them: a part that is not there is not missed.

import { partsOf } from "./dom.js"

/** @param {string} name @returns {{element: HTMLElement, parts: any}} a copy, and its parts */
export function drawn(name) {
  const { content } = /** @type {HTMLTemplateElement} */ (document.querySelector(`template[data-template="${name}"]`))
  const element = /** @type {HTMLElement} */ (content.firstElementChild.cloneNode(true))
  return { element, parts: { words: element, ...partsOf(element) } }
}

/** Says so in the part, or takes the part out where there is nothing to say. */
export function fill(part, words) {
  if (words === null) part?.remove()
  else if (part) part.textContent = words
}
