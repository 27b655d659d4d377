// Time and randomness are passed in wherever they matter, so that tests control both.

/**
 * @typedef {object} Clock
 * @property {() => number} now milliseconds
 * @property {(work: (value?: any) => void, ms: number) => any} after runs `work` once, `ms` later; returns a handle
 * @property {(handle: any) => void} cancel ignores null and a handle that has run
 * @property {() => number} random 0 ≤ x < 1
 */

/** @type {Clock} */
export const systemClock = {
  now: () => Date.now(),
  after: (work, ms) => setTimeout(work, ms),
  cancel: (handle) => clearTimeout(handle),
  random: () => Math.random(),
}
