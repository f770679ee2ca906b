// Runs the HTTP cache tests against one proxy and prints how it did.
//
//   node runner.mjs [--target URL] [--origin-port N] [--id ID] [--json FILE]
//
// The suite's own client speaks and judges; this program starts the suite's origin
// on 127.0.0.1:N (which the proxy must have as its only upstream), reads the results
// under expectations.json, and sets them beside the table of README.md. Results go to
// stdout, progress to stderr. Exit: 0 the run is complete (whatever it found), 1 it is
// not, 2 wrong usage.
import fs from 'node:fs'
import { parseArgs } from 'node:util'

import fetch, { Response } from 'node-fetch'

import { start } from './origin.mjs'
import { getResults, runTests } from './suite/client/runner.mjs'
import { testResults } from './suite/client/test.mjs'
import suites from './suite/tests/index.mjs'
import { judge, kinds, readings, refused, totals, unavailable, withDependencies } from './verdict.mjs'

const fetchTimeoutMS = 15_000
const here = new URL('.', import.meta.url)

const options = {
  target: { type: 'string', default: 'http://127.0.0.1:21100' },
  'origin-port': { type: 'string', default: '21000' },
  id: { type: 'string' },
  json: { type: 'string' }
}

function usage (message) {
  console.error(`${message}\nusage: node runner.mjs [--target URL] [--origin-port N] [--id ID] [--json FILE]`)
  process.exit(2)
}

function flags () {
  try {
    const { values } = parseArgs({ options })
    const port = Number(values['origin-port'])
    if (!Number.isInteger(port) || port < 1 || port > 65535) usage(`--origin-port ${values['origin-port']} is no port`)
    return { ...values, target: new URL(values.target).origin, port }
  } catch (err) {
    usage(err.message)
  }
}

// timed is the fetch that the suite's client gets: it ends every exchange, body
// included, after fetchTimeoutMS. A refusal in a test whose id is in anyRefusal
// reaches the suite as one and the same status.
function timed (anyRefusal) {
  return async (url, init = {}) => {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(fetchTimeoutMS) })
    const id = init.headers?.find(([name]) => name === 'Test-ID')?.[1]
    if (!anyRefusal.has(id) || !refused.has(response.status)) return response
    return new Response(response.body, { status: unavailable, headers: response.headers })
  }
}

// probe fails unless the target answers and its answers are our origin's.
async function probe (target) {
  const response = await fetch(`${target}/state/probe`, { signal: AbortSignal.timeout(fetchTimeoutMS) })
  const text = await response.text()
  if (response.status !== 404 || !text.startsWith('State not found')) {
    throw new Error(`${target} does not lead to our origin: status ${response.status}, ${JSON.stringify(text.slice(0, 80))}`)
  }
}

// watch shows on a terminal how many of n tests are done, until it is stopped.
function watch (n) {
  if (!process.stderr.isTTY) return () => {}
  const timer = setInterval(() => {
    process.stderr.write(`\r${Object.keys(testResults).length}/${n} tests`)
  }, 500)
  return () => {
    clearInterval(timer)
    process.stderr.write('\r\x1b[K')
  }
}

// rivals reads the other caches' figures from README.md, the one place they are in.
function rivals () {
  const text = fs.readFileSync(new URL('README.md', here), 'utf8')
  const rows = [...text.matchAll(/^\| ([^|]+) \| (\d+) \| (\d+) \|$/gm)]
  if (rows.length === 0) throw new Error('README.md has no table of other caches')
  return rows.map(([, name, required, optimal]) => [name.trim(), required, optimal])
}

function printTable (sums) {
  const line = (name, ...cells) => console.log(name.padEnd(46) + cells.map(c => String(c).padStart(10)).join(''))
  line('passed', ...kinds)
  line('this run', ...kinds.map(kind => `${sums[kind].passed}/${sums[kind].total}`))
  rivals().forEach(([name, required, optimal]) => line(name, required, optimal, ''))
  console.log('The others ran the current edition (160 required, 105 optimal), this run 0.4.5 as expectations.json reads it.')
}

function printFailures (judged, wanted) {
  for (const kind of wanted) {
    const failed = Object.entries(judged).filter(([, v]) => v.kind === kind && v.outcome !== 'pass')
    if (failed.length > 0) console.log(`\n${kind}, not passed (${failed.length}):`)
    for (const [id, { outcome, message }] of failed) console.log(`  ${id}: ${outcome}: ${message}`)
  }
}

function select (read, id) {
  if (id === undefined) return read
  try {
    const ids = withDependencies(read, id)
    read.get(id).test.dump = true
    return new Map([...read].filter(([key]) => ids.has(key)))
  } catch (err) {
    usage(err.message)
  }
}

async function main () {
  const { target, port, id, json } = flags()
  const expectations = JSON.parse(fs.readFileSync(new URL('expectations.json', here), 'utf8'))
  const read = select(readings(suites, expectations), id)

  // The suite's origin warns on stdout about what it does not know, the probe included.
  const print = console.log
  console.log = id === undefined ? () => {} : console.error
  const origin = await start(port)
  await probe(target)
  const stop = watch(read.size)
  const tests = [...read.values()].map(({ test }) => test)
  await runTests([{ tests }], timed(new Set(expectations.no_expected_type)), false, target)
  stop()
  console.log = print

  const judged = judge(read, getResults())
  const sums = totals(judged)
  if (id === undefined) printTable(sums)
  printFailures(judged, id === undefined ? ['required', 'optimal'] : kinds)
  if (id !== undefined) console.log(`${id}: ${judged[id].outcome}`)
  if (json !== undefined) fs.writeFileSync(json, JSON.stringify({ target, totals: sums, tests: judged }, null, 1))
  origin.closeAllConnections()
  origin.close()
}

main().then(() => process.exit(0), err => {
  console.error(`conformance: ${err.message}`)
  process.exit(1)
})
