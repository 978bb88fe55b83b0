/** The board and its connection, as the page needs them, over either library. */
import { useCallback, useEffect, useEffectEvent, useState, useSyncExternalStore } from "react";

import type { Realtime } from "../../hooks/useRealtime";
import { useSocketIO } from "../../hooks/useSocketIO";
import { useWebSocket } from "../../hooks/useWebSocket";
import type { Pass } from "../../realtime/pass";
import { API_BASE, snapshotReader, STATE_CHANNELS, TELEMETRY, WS_URL } from "../../server";
import { Board, type View } from "./board";

export const TRANSPORTS = ["native", "socketio"] as const;
export type Transport = (typeof TRANSPORTS)[number];

const RENEW_AGAIN_MS = 5_000; // after a renewal that failed
const SOCKET_IO_URL = API_BASE === "" ? "/" : API_BASE;
/** Names this page to the server, which knows by it a request that comes twice. No credential. */
const CLIENT = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
  byte.toString(16).padStart(2, "0"),
).join("");

export function useBoard(
  pass: Pass,
  transport: Transport,
): { view: View; board: Board; realtime: Realtime } {
  const [board] = useState(() => new Board());
  const realtime = useTransport(pass, transport);
  const { follow } = realtime;
  useEffect(() => {
    const hear = (channel: string, hasState: boolean) =>
      follow(
        channel,
        (happened) => {
          board.hear(channel, happened);
        },
        hasState,
      );
    const ends = STATE_CHANNELS.map((channel) => hear(channel, true));
    ends.push(hear(TELEMETRY, false));
    return () => {
      for (const end of ends) end();
      board.flush();
    };
  }, [follow, board]);
  useRenewal(pass, realtime);
  return { view: useSyncExternalStore(board.onView, board.getView), board, realtime };
}

/** Both hooks, one of which has no address and so no connection: that is the whole switch. */
function useTransport(pass: Pass, transport: Transport): Realtime {
  const withTicket = useCallback(
    async (url: string, signal: AbortSignal) => {
      const address = new URL(url);
      address.searchParams.set("ticket", await pass.ticket(signal));
      address.searchParams.set("client", CLIENT);
      return { url: address.href };
    },
    [pass],
  );
  const withToken = useCallback(
    async (url: string, signal: AbortSignal) => {
      if (pass.secondsLeft < 1) await pass.renew(signal);
      return { url, auth: { token: pass.token, client: CLIENT } };
    },
    [pass],
  );
  const [shared] = useState(() => ({ again: true, snapshot: snapshotReader(pass) }));
  // --8<-- [start:switch]
  const webSocket = useWebSocket({
    ...shared,
    url: transport === "native" ? WS_URL : null,
    pass: withTicket,
  });
  const socketIO = useSocketIO({
    ...shared,
    url: transport === "socketio" ? SOCKET_IO_URL : null,
    pass: withToken,
  });
  return transport === "native" ? webSocket : socketIO;
  // --8<-- [end:switch]
}

/** A new token at half of its life, told to the open connection: it lives as long as its token. */
function useRenewal(pass: Pass, { status, send }: Realtime): void {
  const renew = useEffectEvent(async () => {
    await pass.renew();
    if (status.state === "open") await send("auth:refresh", { token: pass.token });
  });
  const over = status.state === "stopped";
  useEffect(() => {
    if (over) return;
    let timer: ReturnType<typeof setTimeout>;
    const later = (ms: number) => {
      timer = setTimeout(() => {
        renew().then(
          () => {
            later(pass.renewIn);
          },
          () => {
            later(RENEW_AGAIN_MS); // no matter: the connection ends with its token, and says so
          },
        );
      }, ms);
    };
    later(pass.renewIn);
    return () => {
      clearTimeout(timer);
    };
  }, [pass, over]);
}
