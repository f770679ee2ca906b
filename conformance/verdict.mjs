// How results are read: which tests count, as which kind, with which expected
// outcome, and when a test has passed. Everything here is a function of its arguments.

export const kinds = ['required', 'optimal', 'check']

// unavailable is the status under which the suite's client sees each of the three
// that say the origin gave no answer; refused lists the three.
export const unavailable = 504
export const refused = new Set([502, 503, 504])

// readings applies expectations to the suite's tests and returns id → {kind, test}
// of all that count. It throws when an expectation names a test that is not there,
// so that a new edition of the suite is not read with an old page.
export function readings (suites, expectations) {
  const all = new Map(suites.flatMap(s => s.tests).map(test => [test.id, test]))
  for (const list of [expectations.exclude, expectations.kinds, expectations.expected_type]) {
    Object.keys(list).forEach(id => mustHave(all, id))
  }
  expectations.no_expected_type.forEach(id => mustHave(all, id))

  const read = new Map()
  for (const [id, test] of all) {
    if (id in expectations.exclude || test.browser_only === true) continue
    read.set(id, { kind: expectations.kinds[id] ?? test.kind ?? 'required', test: amend(test, expectations) })
  }
  return read
}

function mustHave (all, id) {
  if (!all.has(id)) throw new Error(`expectations.json names ${id}, which the suite has not`)
}

// amend returns the test with its last answer expected as RFC 9111 has it.
function amend (test, expectations) {
  const last = { ...test.requests.at(-1) }
  if (test.id in expectations.expected_type) {
    last.expected_type = expectations.expected_type[test.id]
  } else if (expectations.no_expected_type.includes(test.id)) {
    // The origin hangs up and stale is forbidden: no stored answer, but a refusal.
    delete last.expected_type
    last.expected_status = unavailable
    last.check_body = false
  } else {
    return test
  }
  return { ...test, requests: [...test.requests.slice(0, -1), last] }
}

// withDependencies returns the ids that one test needs, itself last.
export function withDependencies (read, id, seen = new Set()) {
  if (!read.has(id)) throw new Error(`no test ${id}`)
  for (const needed of read.get(id).test.depends_on ?? []) {
    if (!seen.has(needed)) withDependencies(read, needed, seen)
  }
  return seen.add(id)
}

// judge turns the suite's raw results (true or [name, message]) into
// id → {kind, outcome, message}; outcome is pass, fail, setup, retry, error,
// dependency or missing, and only pass counts.
export function judge (read, raw) {
  const judged = {}
  for (const [id, { kind }] of read) {
    const [outcome, message] = outcomeOf(read, raw, id)
    judged[id] = { kind, outcome, message }
  }
  return judged
}

function outcomeOf (read, raw, id) {
  const result = raw[id]
  if (result === undefined) return ['missing', 'the suite has no result for it']
  for (const needed of read.get(id)?.test.depends_on ?? []) {
    if (outcomeOf(read, raw, needed)[0] !== 'pass') return ['dependency', `${needed} did not pass`]
  }
  if (result === true) return ['pass', '']
  const [name, message] = result
  if (name === 'Assertion') return ['fail', message]
  if (name === 'Setup') return [message === 'retry' ? 'retry' : 'setup', message]
  return ['error', `${name}: ${message}`]
}

// totals counts passed and all, a kind.
export function totals (judged) {
  const sums = Object.fromEntries(kinds.map(kind => [kind, { passed: 0, total: 0 }]))
  for (const { kind, outcome } of Object.values(judged)) {
    sums[kind].total++
    if (outcome === 'pass') sums[kind].passed++
  }
  return sums
}
