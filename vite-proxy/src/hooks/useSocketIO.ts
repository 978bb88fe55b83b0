/** The same as useWebSocket, over Socket.IO: the same options, the same result. */
import { dialSocketIo } from "../realtime/socketIoLink";
import { type Realtime, useRealtime, type UseRealtimeOptions } from "./useRealtime";

export function useSocketIO(options: UseRealtimeOptions): Realtime {
  return useRealtime(dialSocketIo, resolve, options);
}

function resolve(url: string): string {
  return new URL(url, location.href).href;
}
