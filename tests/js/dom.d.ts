// What the type checker may assume of the page: every element that our scripts meet is an HTML element, and events come
// from elements, so that queries need no casts. The tests in a real browser find what an element does not have.

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
