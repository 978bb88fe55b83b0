// The same room on Node's Socket.IO, with its default parser and `ws` below it. No compression.
import { createServer } from 'node:http'
import { Server } from 'socket.io'

const long = 600_000 // milliseconds between two heartbeats: here only events are counted
const http = createServer()
const io = new Server(http, { pingInterval: long, pingTimeout: long, perMessageDeflate: false })

io.on('connection', (socket) => {
  socket.on('subscribe', ({ channel }, ack) => {
    socket.join(channel)
    ack({ ok: true })
  })
  socket.on('publish', ({ channel, event, payload }, ack) => {
    io.to(channel).emit(event, { channel, data: payload })
    ack({ ok: true })
  })
})

http.listen(Number(process.env.PORT), '127.0.0.1')
