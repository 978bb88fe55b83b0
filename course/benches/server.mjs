// The same room on Node's ws. WAY=source makes the text for each client, as the source does;
// WAY=once makes it once. Neither looks at bufferedAmount.
import { WebSocketServer } from 'ws'

const once = process.env.WAY === 'once'
const sockets = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.env.PORT),
  path: '/ws',
  perMessageDeflate: false,
  maxPayload: 1 << 20,
})
const room = new Set()

function publish({ channel, event, payload }) {
  const message = { type: event, ts: Date.now(), channel, data: payload }
  const text = once ? JSON.stringify(message) : ''
  for (const socket of room) {
    if (socket.readyState === 1) socket.send(once ? text : JSON.stringify(message))
  }
}

sockets.on('connection', (socket) => {
  socket.on('error', (error) => console.error(error.message))
  socket.on('close', () => room.delete(socket))
  socket.on('message', (data) => {
    const asked = JSON.parse(data)
    if (asked.type === 'subscribe') room.add(socket)
    else publish(asked.data)
    socket.send(JSON.stringify({ type: 'done', requestId: asked.requestId }))
  })
})
