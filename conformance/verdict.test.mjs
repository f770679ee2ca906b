// node --test verdict.test.mjs: the rules by which results are read.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { judge, readings, totals, unavailable, withDependencies } from './verdict.mjs'

const suites = [
  {
    tests: [
      { id: 'base', kind: 'check', requests: [{}, { expected_type: 'cached' }] },
      { id: 'top', depends_on: ['base'], requests: [{}, { expected_type: 'not_cached' }] },
      { id: 'peak', kind: 'optimal', depends_on: ['top'], requests: [{}, {}] }
    ]
  },
  {
    tests: [
      { id: 'hangs-up', requests: [{}, { disconnect: true, expected_type: 'not_cached' }] },
      { id: 'broken', requests: [{}] },
      { id: 'window', browser_only: true, requests: [{}] }
    ]
  }
]
const plain = { exclude: {}, kinds: {}, expected_type: {}, no_expected_type: [] }

test('a test has the kind of the page, else its own, else required', () => {
  const read = readings(suites, { ...plain, kinds: { base: 'optimal' }, exclude: { broken: 'it is' } })
  const kinds = Object.fromEntries([...read].map(([id, { kind }]) => [id, kind]))
  assert.deepEqual(kinds, { base: 'optimal', top: 'required', peak: 'optimal', 'hangs-up': 'required' })
})

test('an outcome is reversed in a copy, on the last request only', () => {
  const read = readings(suites, { ...plain, expected_type: { top: 'cached' } })
  assert.deepEqual(read.get('top').test.requests, [{}, { expected_type: 'cached' }])
  assert.equal(suites[0].tests[1].requests[1].expected_type, 'not_cached')
})

test('where the origin hangs up a refusal is wanted, not any answer', () => {
  const last = readings(suites, { ...plain, no_expected_type: ['hangs-up'] }).get('hangs-up').test.requests[1]
  assert.deepEqual(last, { disconnect: true, expected_status: unavailable, check_body: false })
})

test('an expectation about a test that is not there is an error', () => {
  for (const wrong of [{ exclude: { gone: '' } }, { kinds: { gone: 'check' } },
    { expected_type: { gone: 'cached' } }, { no_expected_type: ['gone'] }]) {
    assert.throws(() => readings(suites, { ...plain, ...wrong }), /names gone/)
  }
})

test('a test brings all that it depends on', () => {
  const read = readings(suites, plain)
  assert.deepEqual([...withDependencies(read, 'peak')], ['base', 'top', 'peak'])
  assert.throws(() => withDependencies(read, 'gone'), /no test gone/)
})

test('only a pass whose dependencies passed counts', () => {
  const read = readings(suites, plain)
  const raw = { base: true, top: true, peak: true, 'hangs-up': ['Assertion', 'cached'], broken: ['Setup', 'retry'] }
  const outcomes = raw => Object.fromEntries(Object.entries(judge(read, raw)).map(([id, v]) => [id, v.outcome]))

  assert.deepEqual(outcomes(raw), { base: 'pass', top: 'pass', peak: 'pass', 'hangs-up': 'fail', broken: 'retry' })
  assert.deepEqual(outcomes({ ...raw, base: ['Setup', 'status'], broken: ['AbortError', 'late'] }),
    { base: 'setup', top: 'dependency', peak: 'dependency', 'hangs-up': 'fail', broken: 'error' })
  assert.equal(outcomes({ base: true }).top, 'missing')
  assert.deepEqual(totals(judge(read, raw)),
    { required: { passed: 1, total: 3 }, optimal: { passed: 1, total: 1 }, check: { passed: 1, total: 1 } })
})
