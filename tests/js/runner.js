// A test runner for one page: test files call test(); run() runs the tests and returns their results.

const tests = []

/** @param {string} name a claim @param {() => void | Promise<void>} body throws when the claim is false */
export function test(name, body) {
  tests.push({ name, body })
}

export const assert = {
  ok(value, why = "expected something true") {
    if (!value) throw new Error(why)
  },
  equal(actual, expected, why = "") {
    const [a, b] = [show(actual), show(expected)]
    if (a !== b) throw new Error(`${why}\n  actual:   ${a}\n  expected: ${b}`)
  },
  async rejects(promise, code) {
    const outcome = await promise.then(() => "resolved", (error) => error.code ?? error.name)
    assert.equal(outcome, code)
  },
}

const show = (value) => JSON.stringify(value, (_, each) => (each instanceof Map ? [...each] : each === undefined ? "undefined" : each))

export async function run() {
  const results = []
  for (const { name, body } of tests) {
    try {
      await body()
      results.push({ name, error: null })
    } catch (error) {
      results.push({ name, error: `${error.message}\n${error.stack}` })
    }
  }
  return results
}

export const example = async (name) => (await fetch(`/wire/${name}.json`)).json()
