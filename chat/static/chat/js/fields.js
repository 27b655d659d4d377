// What a field of the wire must hold to be of use. Each returns the value and throws TypeError for any other, so that
// nothing half-read gets in: a message without a date, say, would stop the page at each attempt to draw it. The error
// names no value, for it may be what somebody wrote.

const fit = (value, isFit, wanted) => {
  if (isFit) return value
  throw new TypeError(`expected ${wanted}, got ${value === null ? "null" : typeof value}`)
}

export const text = (value) => fit(value, typeof value === "string", "text")
export const name = (value) => fit(value, typeof value === "string" && value !== "", "a name")
export const flag = (value) => fit(value, typeof value === "boolean", "true or false")
export const whole = (value) => fit(value, Number.isSafeInteger(value) && value >= 0, "a whole number")
export const count = (value) => fit(value, Number.isSafeInteger(value) && value > 0, "a whole number above 0")
export const positive = (value) => fit(value, Number.isFinite(value) && value > 0, "a number above 0")
export const moment = (value) => fit(value, typeof value === "string" && !Number.isNaN(Date.parse(value)), "a moment")
export const object = (value) => fit(value, value !== null && typeof value === "object" && !Array.isArray(value), "an object")
export const oneOf = (...values) => (value) => fit(value, values.includes(value), `one of ${values.join(", ")}`)

/** @template T @param {(each: any) => T} of @returns {T[]} */
export const list = (value, of) => fit(value, Array.isArray(value), "a list").map((each) => of(each))

/** @template T @param {(each: any) => T} of @returns {Map<string, T>} */
export const table = (value, of) => new Map(Object.entries(object(value)).map(([key, each]) => [key, of(each)]))

/** Absent fields and null say the same. @template T @param {(value: any) => T} of @returns {T | null} */
export const maybe = (value, of) => (value === undefined || value === null ? null : of(value))
