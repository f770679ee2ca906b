// The suite's origin, on loopback. The suite's own starter binds every interface
// and serves its web pages; this one takes the suite's three handlers and nothing else.
import http from 'node:http'
import { fileURLToPath } from 'node:url'

import handleConfig from './suite/server/handle-config.mjs'
import handleState from './suite/server/handle-state.mjs'
import handleTest from './suite/server/handle-test.mjs'

const handlers = { config: handleConfig, state: handleState, test: handleTest }

function handle (request, response) {
  const [name, ...rest] = new URL(request.url, 'http://localhost').pathname.split('/').slice(1)
  const handler = handlers[name]
  if (!handler) {
    response.writeHead(404, { 'Content-Type': 'text/plain' })
    response.end(`no ${name} here\n`)
    return
  }
  handler(rest, request, response)
}

// start listens on 127.0.0.1:port (0: any free port) and resolves to the server.
export function start (port) {
  return new Promise((resolve, reject) => {
    const server = http.createServer(handle)
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await start(Number(process.argv[2] ?? 21000))
  console.log(`origin listens on 127.0.0.1:${server.address().port}`)
}
