/** Sets the words unless they are there already: a screen reader would announce the same words again. */
export function put(element, words) {
  if (element && element.textContent !== words) element.textContent = words
}

/** Returns the parts of a component by the names that its template gives them with `data-part`. */
export function partsOf(root) {
  const parts = {}
  for (const each of root.querySelectorAll("[data-part]")) parts[each.dataset.part] = each
  return parts
}

/** Returns the text of HTML. The parsed document is not part of the page, so nothing in it loads. */
export function wordsOf(html) {
  return new DOMParser().parseFromString(html, "text/html").body.textContent
}

const language = document.documentElement.lang || undefined
// As the server writes times (chat/web/timeline.py): with the same width in every language.
const time = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" })
const fullDay = new Intl.DateTimeFormat(language, { dateStyle: "full" })
const dayOfYear = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" })
const dayAndYear = new Intl.DateTimeFormat(language, { dateStyle: "long" })

export const timeOf = (iso) => time.format(new Date(iso))
export const momentOf = (iso) => `${fullDay.format(new Date(iso))}, ${timeOf(iso)}`

const noonOf = (day) => new Date(`${day}T12:00:00`)

/** @param {string} day 2026-11-20 @returns {number} 0: today, 1: yesterday, … */
export const daysAgo = (day) => Math.round((new Date().setHours(12, 0, 0, 0) - noonOf(day).getTime()) / 86_400_000)

/** Returns the heading for a calendar day (2026-11-20). */
export function dayName(day) {
  const date = noonOf(day)
  return (date.getFullYear() === new Date().getFullYear() ? dayOfYear : dayAndYear).format(date)
}
