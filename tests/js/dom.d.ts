// What the checker may assume of the page: every element that our scripts meet is an HTML element, and events come from
// elements. So a query needs no cast at each use; what an element has not is found by the tests in a real browser.

interface Element {
  dataset: DOMStringMap
  hidden: any
  open: any
  value: any
  heading: any
  returnValue: any
  tabIndex: number
  focus(options?: FocusOptions): void
  click(): void
  select(): void
  showModal(): void
}

interface EventTarget {
  closest?: any
}

interface Event {
  relatedTarget?: any
}

interface PerformanceEntry {
  type?: string
}

/** What a ChatError carries (protocol.js). */
interface Error {
  code?: any
  retry?: any
  retryAfterMs?: any
  field?: any
}
