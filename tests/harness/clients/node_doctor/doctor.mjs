// Chapter 13 in JavaScript, on a bare socket: the grader has to find it right.
import crypto from 'node:crypto'
import net from 'node:net'

const { URL: address = 'ws://127.0.0.1:8080/ws', ORIGIN = '', EXPECT = '' } = process.env
const SEND_BYTES = Number(process.env.SEND_BYTES || 0)
const TIMEOUT = 1000 * Number(process.env.CONNECT_TIMEOUT || 5)
const HEARTBEAT = 1000 * Number(process.env.HEARTBEAT_SECONDS || 20)
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const STATUS = {
  400: 'no-upgrade-headers', 426: 'no-upgrade-headers', 505: 'no-upgrade-headers', 401: 'unauthorized',
  403: 'forbidden', 404: 'wrong-path', 502: 'backend-down', 503: 'backend-down', 504: 'backend-down',
}
const url = new URL(address)

class Sick extends Error {}

// A socket whose bytes are waited for: `until` asks again whenever something has come.
class Line {
  constructor(socket) {
    this.socket = socket
    this.bytes = Buffer.alloc(0)
    this.over = false
    this.wake = () => {}
    socket.on('data', (data) => { this.bytes = Buffer.concat([this.bytes, data]); this.wake() })
    for (const event of ['end', 'close', 'error']) socket.on(event, () => { this.over = true; this.wake() })
  }

  async until(found, milliseconds) {
    const deadline = Date.now() + milliseconds
    for (;;) {
      const what = found()
      if (what || this.over || Date.now() >= deadline) return what
      await new Promise((done) => {
        this.wake = done
        setTimeout(done, Math.max(1, deadline - Date.now())).unref()
      })
    }
  }
}

function connect() {
  return new Promise((done, failed) => {
    const socket = net.connect(Number(url.port) || 80, url.hostname)
    socket.once('connect', () => done(new Line(socket)))
    socket.once('error', () => failed(new Sick('unreachable')))
  })
}

async function ask(target, headers) {
  const line = await connect()
  const fields = Object.entries(headers).filter(([, value]) => value).map(([name, value]) => `${name}: ${value}\r\n`)
  line.socket.write(`GET ${target} HTTP/1.1\r\nHost: ${url.host}\r\n${fields.join('')}\r\n`)
  const end = await line.until(() => line.bytes.indexOf('\r\n\r\n') + 1, TIMEOUT)
  if (!end) throw new Sick('no-answer')
  const head = line.bytes.subarray(0, end).toString('latin1')
  line.bytes = line.bytes.subarray(end + 3)
  const status = Number(head.split(' ')[1])
  if (status !== 101) await line.until(() => false, 200)
  return { line, head, status }
}

async function upgrade(origin) {
  const key = crypto.randomBytes(16).toString('base64')
  const asked = await ask(url.pathname + url.search, {
    Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': key, Origin: origin,
  })
  if (asked.status !== 101) {
    asked.line.socket.destroy()
    let cause = STATUS[asked.status] ?? 'refused'
    if (cause === 'unauthorized' && expired()) cause = 'expired-token'
    if (cause === 'forbidden' && origin) {
      const again = await upgrade('').catch(() => null)
      again?.socket.destroy()
      if (again) cause = 'origin-refused'
    }
    throw new Sick(cause)
  }
  const accept = crypto.createHash('sha1').update(key + GUID).digest('base64')
  if (!asked.head.includes(`: ${accept}`)) throw new Sick('bad-accept')
  return asked.line
}

function expired() {
  for (const value of url.searchParams.values()) {
    try {
      return JSON.parse(Buffer.from(value.split('.')[1], 'base64url')).exp * 1000 < Date.now()
    } catch {} // no token
  }
  return false
}

// What has come so far, frame by frame. All frames of these servers are small and whole.
class Talk {
  constructor(line) {
    this.line = line
    this.types = []
    this.code = 0
    this.blob = this.ping = this.pong = false
  }

  read() {
    let { bytes } = this.line
    while (bytes.length >= 2) {
      const long = (bytes[1] & 127) === 126, start = long ? 4 : 2
      if (bytes.length < start) break
      const size = long ? bytes.readUInt16BE(2) : bytes[1] & 127
      if (bytes.length < start + size) break
      this.take(bytes[0] & 15, bytes.subarray(start, start + size))
      bytes = this.line.bytes = bytes.subarray(start + size)
    }
  }

  take(opcode, payload) {
    if (opcode === 8) this.code = payload.length ? payload.readUInt16BE(0) : 1005
    if (opcode === 9) this.ping = true
    if (opcode === 10) this.pong = true
    if (opcode > 2) return
    try {
      this.types.push(JSON.parse(payload).type)
      this.blob ||= opcode === 2
    } catch {} // no JSON
  }

  send(opcode, payload) {
    const size = payload.length, head = Buffer.alloc(size < 126 ? 2 : 10)
    head[0] = 128 | opcode
    head[1] = 128 | (size < 126 ? size : 127)
    if (size >= 126) head.writeBigUInt64BE(BigInt(size), 2)
    this.line.socket.write(Buffer.concat([head, Buffer.alloc(4), payload])) // a mask of zeros
  }

  until(found, milliseconds) {
    return this.line.until(() => { this.read(); return found() || this.code }, milliseconds).then(() => found())
  }

  async answers(cause) {
    this.pong = false
    this.send(9, Buffer.from('?'))
    if (await this.until(() => this.pong, TIMEOUT)) return
    throw new Sick([1008, 4401].includes(this.code) ? 'unauthorized' : this.code || this.line.over ? cause : 'blocked-handler')
  }
}

async function converse(talk) {
  await talk.answers('closed-at-once')
  if (EXPECT) await talk.until(() => talk.blob || talk.types.includes(EXPECT), TIMEOUT)
  if (talk.blob) throw new Sick('blob-echo')
  if (EXPECT && !talk.types.includes(EXPECT)) throw new Sick('wrong-type')
  if (SEND_BYTES) {
    talk.send(1, Buffer.alloc(SEND_BYTES, ' '))
    await talk.answers('oversized')
  }
  if (!(await talk.until(() => talk.ping, 2.5 * HEARTBEAT))) throw new Sick('no-heartbeat')
}

async function visit() {
  if (url.pathname.includes('/socket.io/')) {
    const query = new URLSearchParams({ EIO: '4', ...Object.fromEntries(url.searchParams), transport: 'polling' })
    const { line, status } = await ask(`${url.pathname}?${query}`, { Connection: 'close' })
    line.socket.destroy()
    if (status === 400 && line.bytes.includes('version')) throw new Sick('version-mismatch')
  }
  const line = await upgrade(ORIGIN)
  const talk = new Talk(line)
  try {
    await converse(talk)
  } finally {
    if (!talk.code) talk.send(8, Buffer.from([3, 232]))
    await talk.until(() => talk.code, TIMEOUT)
    line.socket.destroy()
  }
}

let cause = null
try {
  await visit()
} catch (error) {
  if (!(error instanceof Sick)) throw error
  cause = error.message
}
const verdict = cause === null ? 'ok' : cause === 'no-heartbeat' ? 'warning' : 'problem'
console.log(JSON.stringify({ event: 'verdict', verdict, cause }))
process.exit(cause === 'unreachable' ? 2 : Number(verdict === 'problem')) // whatever is still open
