/** The board and its connection, as the page needs them. */
import { useCallback, useEffect, useEffectEvent, useState, useSyncExternalStore } from "react";

import type { Realtime } from "../../hooks/useRealtime";
import { useWebSocket } from "../../hooks/useWebSocket";
import type { Pass } from "../../realtime/pass";
import { CHANNELS, KNOWS_REPEATS, READ_SNAPSHOT, WS_URL } from "../../server";
import { Board, type View } from "./board";

const RENEW_AGAIN_MS = 5_000; // after a renewal that failed

export function useBoard(pass: Pass): { view: View; board: Board; realtime: Realtime } {
  const [board] = useState(() => new Board());
  const withTicket = useCallback(
    async (url: string, signal: AbortSignal) => {
      const address = new URL(url);
      address.searchParams.set("ticket", await pass.ticket(signal));
      return { url: address.href };
    },
    [pass],
  );
  const realtime = useWebSocket({
    url: WS_URL,
    pass: withTicket,
    again: KNOWS_REPEATS,
    ...(READ_SNAPSHOT && { snapshot: READ_SNAPSHOT }),
  });
  const { follow } = realtime;
  useEffect(() => {
    const ends = CHANNELS.map((channel) =>
      follow(channel, (happened) => {
        board.hear(channel, happened);
      }),
    );
    return () => {
      for (const end of ends) end();
      board.rest();
    };
  }, [follow, board]);
  useRenewal(pass, realtime);
  const view = useSyncExternalStore(board.onView, board.getView);
  return { view, board, realtime };
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
