// The hook of the tutorial that this course grew out of (its lines 184-259), as it stands there. It is
// here to be measured beside ours, by `make hooks`. Never use it: reference/hook-migration.md tells why.
import { useEffect, useRef, useState, useCallback } from 'react'

export function useWebSocket<T = any>({ url, heartbeatInterval = 15000 }: { url: string; heartbeatInterval?: number }) {
  const wsRef = useRef<WebSocket | null>(null)
  const [connected, setConnected] = useState(false)
  const [lastMessage, setLastMessage] = useState<T | null>(null)
  const [retryMs, setRetryMs] = useState(1000)
  const heartbeatTimerRef = useRef<number | null>(null)

  const clearHeartbeat = () => {
    if (heartbeatTimerRef.current) {
      clearInterval(heartbeatTimerRef.current)
      heartbeatTimerRef.current = null
    }
  }

  const startHeartbeat = () => {
    clearHeartbeat()
    heartbeatTimerRef.current = window.setInterval(() => {
      if (wsRef.current?.readyState === WebSocket.OPEN) {
        wsRef.current.send(JSON.stringify({ type: 'ping', ts: Date.now() }))
      }
    }, heartbeatInterval)
  }

  const connect = useCallback(() => {
    try {
      const ws = new WebSocket(url)
      wsRef.current = ws

      ws.onopen = () => {
        setConnected(true)
        setRetryMs(1000)
        startHeartbeat()
      }

      ws.onmessage = (evt) => {
        try {
          const data = JSON.parse(evt.data)
          if (data?.type !== 'pong') setLastMessage(data as T)
        } catch {
          setLastMessage((evt.data as unknown) as T)
        }
      }

      ws.onclose = () => {
        setConnected(false)
        clearHeartbeat()
        const next = Math.min(retryMs * 2, 30000)
        setRetryMs(next)
        setTimeout(connect, retryMs)
      }
    } catch {
      setTimeout(connect, retryMs)
    }
  }, [url, retryMs])

  useEffect(() => {
    connect()
    return () => {
      clearHeartbeat()
      wsRef.current?.close()
    }
  }, [connect])

  const send = useCallback((payload: unknown) => {
    if (wsRef.current?.readyState === WebSocket.OPEN) {
      wsRef.current.send(JSON.stringify(payload))
    }
  }, [])

  return { connected, lastMessage, send }
}
