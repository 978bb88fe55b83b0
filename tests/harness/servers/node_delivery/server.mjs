// Chapters 5 and 6 in JavaScript, with plain `ws`: rooms and delivery. The grader has to find it right.
import { randomUUID } from 'node:crypto'
import http from 'node:http'
import { WebSocketServer } from 'ws'

const HOST = process.env.HOST ?? '127.0.0.1'
const PORT = number('PORT', 8080, /^\d+$/)
const MAX_MESSAGE_BYTES = number('MAX_MESSAGE_BYTES', 65536, /^\d+$/)
const BEAT_MS = 1000 * number('HEARTBEAT_SECONDS', 20, /^\d+(\.\d+)?$/)
const HISTORY = number('HISTORY', 1000, /^\d+$/)
const ACK_MS = 1000 * number('ACK_SECONDS', 5, /^\d+(\.\d+)?$/)
const OUTBOX_LIMIT = number('OUTBOX_LIMIT', 100, /^\d+$/)
const DEDUPE_MS = 1000 * number('DEDUPE_SECONDS', 600, /^\d+(\.\d+)?$/)
const REMEMBERED = 10_000 // requests of one client
const ORIGINS = (process.env.ALLOWED_ORIGINS ?? `http://${HOST}:${PORT}`).split(',')
const CLOSE_MS = 1000
const MAX_DEPTH = 100
const MAX_CHANNELS = 100
const CHANNEL = /^[a-z0-9]+(:[a-z0-9_-]+)+$/
const CLIENT = /^[A-Za-z0-9_-]+$/
const EVENT = /^[^\s:]+(:[^\s:]+)+$/

function number(name, fallback, form) {
  const text = process.env[name] ?? String(fallback)
  if (form.test(text) && Number(text) > 0) return Number(text)
  console.error(`${name} must be a number above 0, but it is '${text}'`)
  process.exit(1)
}

// ---- The rooms: two maps that hold the same lines.
const rooms = new Map() // channel → set of sockets
const joined = new Map() // socket → set of channels

function leave(socket, channel) {
  joined.get(socket).delete(channel)
  const members = rooms.get(channel)
  if (members?.delete(socket) && members.size === 0) rooms.delete(channel)
}

// Nothing here waits, so no event can overtake another, and a subscribe is one step by itself.
function deliver({ channel, event, payload }, skip) {
  const stream = streamOf(channel)
  stream.seq += 1
  const { seq, epoch } = stream
  const text = JSON.stringify({ type: event, ts: Date.now(), channel, seq, epoch, data: payload })
  stream.events.push(text)
  if (stream.events.length > HISTORY) stream.events.shift()
  if (isObject(payload) && ['string', 'number'].includes(typeof payload.id)) stream.state.set(String(payload.id), payload)
  let receivers = 0
  for (const member of rooms.get(channel) ?? []) {
    if (member === skip || member.readyState !== member.OPEN) continue
    member.send(text) // never waits and never throws for an open socket
    receivers += 1
  }
  return receivers
}

// ---- The history of each channel.
const streams = new Map()

function streamOf(channel) {
  if (!streams.has(channel)) streams.set(channel, { epoch: randomUUID(), seq: 0, events: [], state: new Map() })
  return streams.get(channel)
}

function missedSince({ epoch, seq, events }, since) {
  const missing = seq - (since?.seq ?? -1)
  if (since?.epoch !== epoch || missing < 0 || missing > events.length) return null
  return events.slice(events.length - missing).map((text) => JSON.parse(text))
}

// ---- What took effect lately: client → requestId → { reply, at }.
const effects = new Map()

function once(client, requestId, effect) {
  if (requestId === undefined) return effect()
  if (!effects.has(client)) effects.set(client, new Map())
  const mine = effects.get(client), known = mine.get(requestId)
  if (known && Date.now() - known.at < DEDUPE_MS) return known.reply
  const reply = effect() // what throws is not remembered
  mine.set(requestId, { reply, at: Date.now() })
  if (mine.size > REMEMBERED) mine.delete(mine.keys().next().value)
  return reply
}

// ---- The outboxes: client → { waiting: deliveryId → text, socket, timer }.
const outboxes = new Map()

function outboxOf(client) {
  if (!outboxes.has(client)) outboxes.set(client, { waiting: new Map() })
  return outboxes.get(client)
}

function flush(box) { // send all that waits, and again later
  clearTimeout(box.timer)
  if (box.socket?.readyState !== 1 || box.waiting.size === 0) return
  for (const text of box.waiting.values()) box.socket.send(text)
  box.timer = setTimeout(() => flush(box), ACK_MS)
}

function notify({ client, event, payload }) {
  const box = outboxOf(client)
  if (box.waiting.size >= OUTBOX_LIMIT) throw new Refused('outbox_full', 'too much waits for this client')
  const deliveryId = randomUUID()
  const text = JSON.stringify({ type: event, ts: Date.now(), deliveryId, data: payload })
  box.waiting.set(deliveryId, text)
  if (box.waiting.size === 1) flush(box)
  else if (box.socket?.readyState === 1) box.socket.send(text)
  return { deliveryId }
}

// ---- What may be asked.
class Refused extends Error {
  constructor(code, message, requestId) {
    super(message)
    Object.assign(this, { code, requestId })
  }
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

function checkWritable(value, depth = MAX_DEPTH) {
  if (depth === 0) throw new Refused('bad_message', 'nested too deep')
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Refused('bad_message', 'a number is too large')
  if (typeof value === 'object' && value !== null) Object.values(value).forEach((part) => checkWritable(part, depth - 1))
}

function readObject(text) {
  let fields
  try {
    fields = JSON.parse(text)
  } catch (error) {
    throw new Refused('bad_message', `not JSON: ${error.message}`)
  }
  checkWritable(fields)
  if (!isObject(fields)) throw new Refused('bad_message', 'a message is a JSON object')
  return fields
}

function decode(text) {
  const { type, data, requestId } = readObject(text)
  if (requestId !== undefined && (typeof requestId !== 'string' || [...requestId].length > 128)) {
    throw new Refused('bad_message', 'requestId is a string of at most 128 characters')
  }
  if (typeof type !== 'string') throw new Refused('bad_message', 'type is a string', requestId)
  return { type, data, requestId }
}

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

function readNotify(data) {
  const client = readName(data, 'client', CLIENT)
  const event = readName(data, 'event', EVENT)
  if (!Object.hasOwn(data, 'payload')) throw new Refused('bad_request', 'payload is missing')
  return { client, event, payload: data.payload }
}

function readSince({ since }) {
  if (since === undefined) return undefined
  const right = isObject(since) && typeof since.epoch === 'string' && Number.isSafeInteger(since.seq) && since.seq >= 0
  if (!right) throw new Refused('bad_request', 'since is no position')
  return since
}

const ANSWERS = {
  __proto__: null, // so that `constructor` is no type
  ping: () => ['pong'],
  echo: (socket, data) => ['echo', data],
  subscribe(socket, data) {
    const channel = readName(data, 'channel', CHANNEL)
    if (/^(user|role):/.test(channel)) throw new Refused('forbidden', 'a reserved channel')
    const since = readSince(data)
    const mine = joined.get(socket)
    if (!mine.has(channel) && mine.size >= MAX_CHANNELS) throw new Refused('forbidden', 'too many channels')
    if (!rooms.has(channel)) rooms.set(channel, new Set())
    rooms.get(channel).add(socket)
    mine.add(channel)
    const stream = streamOf(channel), missed = missedSince(stream, since)
    return ['subscribed', { channel, epoch: stream.epoch, seq: stream.seq, recovered: missed !== null, missed: missed ?? [] }]
  },
  unsubscribe(socket, data) {
    const channel = readName(data, 'channel', CHANNEL)
    leave(socket, channel)
    return ['unsubscribed', { channel }]
  },
  publish(socket, data) {
    const wanted = readPublish(data)
    if (!rooms.get(wanted.channel)?.has(socket)) throw new Refused('not_subscribed', 'subscribe first')
    const receivers = deliver(wanted, wanted.self ? undefined : socket)
    return ['published', { channel: wanted.channel, receivers }]
  },
  notify: (socket, data) => ['notified', notify(readNotify(data))],
  ack(socket, data) {
    const deliveryId = readName(data, 'deliveryId', CLIENT)
    outboxOf(socket.client).waiting.delete(deliveryId)
    return ['ok', {}]
  },
}

function answer(socket, text) {
  let requestId
  try {
    const message = decode(text)
    requestId = message.requestId
    const handler = ANSWERS[message.type]
    if (!handler) throw new Refused('unknown_type', 'there is no such type')
    const effect = () => {
      const [type, data] = handler(socket, message.data)
      return JSON.stringify({ type, ts: Date.now(), data, requestId })
    }
    return ['publish', 'notify'].includes(message.type) ? once(socket.client, requestId, effect) : effect()
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    const { code, message } = error
    return JSON.stringify({ type: 'error', ts: Date.now(), data: { code, message }, requestId: requestId ?? error.requestId })
  }
}

// ---- HTTP.
function json(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(body))
}

const error = (code, message) => ({ error: { code, message } })

function post(request, response, act) {
  const parts = []
  request.on('data', (part) => parts.push(part))
  request.on('end', () => {
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
      json(response, 202, act(readObject(text)))
    } catch (problem) {
      const full = problem.code === 'outbox_full'
      json(response, full ? 503 : 400, error(full ? problem.code : 'bad_request', problem.message))
    }
  })
}

function snapshot(response, channel) {
  if (channel.length > 128 || !CHANNEL.test(channel)) return json(response, 400, error('bad_request', 'no channel'))
  const { epoch, seq, state } = streamOf(channel)
  json(response, 200, { epoch, seq, state: Object.fromEntries(state) })
}

const server = http.createServer((request, response) => {
  const path = request.url.split('?')[0]
  if (request.method === 'POST' && path === '/api/publish') {
    return post(request, response, (body) => ({ receivers: deliver(readPublish(body)) }))
  }
  if (request.method === 'POST' && path === '/api/notify') return post(request, response, (body) => notify(readNotify(body)))
  if (request.method !== 'GET') return json(response, 405, error(405, 'GET only'))
  if (path === '/api/ping') return json(response, 200, { ok: true })
  const channel = /^\/api\/channels\/([^/]+)\/snapshot$/.exec(path)?.[1]
  if (channel) return snapshot(response, decodeURIComponent(channel))
  if (path === '/api/stats') {
    const channels = Object.fromEntries([...rooms].map(([name, members]) => [name, members.size]))
    return json(response, 200, { connections: joined.size, channels })
  }
  if (path === '/ws') return json(response, 426, error(426, 'a WebSocket lives here'))
  if (path === '/') {
    response.writeHead(200, { 'Content-Type': 'text/html' })
    return response.end('<!doctype html><title>node</title><p>A page.')
  }
  json(response, 404, error(404, `there is nothing at ${path}`))
})

// ---- The connections.
const sockets = new WebSocketServer({
  server,
  path: '/ws',
  maxPayload: MAX_MESSAGE_BYTES,
  perMessageDeflate: false,
  verifyClient: ({ origin }) => origin === undefined || ORIGINS.includes(origin),
})

sockets.on('connection', (socket, request) => {
  socket.client = new URL(request.url, 'http://here').searchParams.get('client') ?? randomUUID()
  joined.set(socket, new Set())
  let lastSeen = Date.now()
  const seen = () => { lastSeen = Date.now() }
  const asking = setInterval(() => socket.ping(), BEAT_MS)
  const watching = setInterval(() => { if (Date.now() - lastSeen >= 2.5 * BEAT_MS) socket.terminate() }, BEAT_MS / 20)
  socket.on('ping', seen)
  socket.on('pong', seen)
  socket.on('error', (problem) => console.log('a connection broke:', problem.message))
  socket.on('close', () => {
    clearInterval(asking)
    clearInterval(watching)
    for (const channel of [...joined.get(socket)]) leave(socket, channel)
    joined.delete(socket)
  })
  socket.on('message', (data, isBinary) => {
    seen()
    const refusal = { type: 'error', ts: Date.now(), data: { code: 'bad_message', message: 'text only' } }
    socket.send(isBinary ? JSON.stringify(refusal) : answer(socket, data.toString()))
  })
  const box = outboxOf(socket.client)
  box.socket = socket // the newest: an older one may hang
  socket.send(JSON.stringify({ type: 'welcome', ts: Date.now(), data: { heartbeatMs: BEAT_MS } }))
  flush(box)
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
sockets.on('error', (problem) => {
  console.error(`cannot listen on ${HOST}:${PORT}: ${problem.code}`)
  process.exit(1)
})
server.listen(PORT, HOST)
