// Answers, a JSON line for a JSON line, what npm http-cache-semantics makes of a
// request, its response, a later request and a 304. Times are milliseconds.
import { createInterface } from 'node:readline'
import CachePolicy from 'http-cache-semantics'

let now = 0
class Policy extends CachePolicy {
  now() {
    return now
  }
}

function judge(c) {
  now = c.at
  const options = { shared: true, cacheHeuristic: 0.1, immutableMinTimeToLive: 0 }
  const p = new Policy({ method: c.method, url: '/x', headers: c.request }, { status: c.status, headers: c.response }, options)
  const out = { storable: p.storable(), lifetime: p.maxAge() }
  now = c.at + c.later
  out.age = p.age()
  const again = { method: c.method, url: '/x', headers: c.again }
  const e = p.evaluateRequest(again)
  out.reuse = !e.revalidation ? 'serve' : e.revalidation.synchronous ? 'validate' : 'refresh'
  const r = p.revalidatedPolicy(again, { status: 304, headers: c.confirm })
  out.matches = r.matches
  if (r.matches) {
    out.merged = r.policy.toObject().resh
  }
  return out
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  process.stdout.write(JSON.stringify(judge(JSON.parse(line))) + '\n')
}
