/** One live WebSocket for a component, whatever happens to it. */
import { absolute, dialWebSocket } from "../realtime/webSocketLink";
import { type Realtime, useRealtime, type UseRealtimeOptions } from "./useRealtime";

export function useWebSocket(options: UseRealtimeOptions): Realtime {
  return useRealtime(dialWebSocket, resolve, options);
}

function resolve(url: string): string {
  return absolute(url).href;
}
