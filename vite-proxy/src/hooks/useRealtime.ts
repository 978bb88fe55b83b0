/**
 * What both hooks share: they start and stop a client, and show its status.
 *
 * The hook owns nothing that could go wrong: no timer, no socket, no "last message". The client lives
 * outside React; React reads it through `useSyncExternalStore`, and hears messages by a callback.
 */
import { useEffect, useEffectEvent, useMemo, useSyncExternalStore } from "react";

import { type ClientOptions, RealtimeClient, type Stats, type Traffic } from "../realtime/client";
import type { Status } from "../realtime/connection";
import type { Message } from "../realtime/envelope";
import type { Address, Dial } from "../realtime/link";
import type { Settings } from "../realtime/settings";
import type { Happened } from "../realtime/stream";

export interface UseRealtimeOptions extends Pick<ClientOptions, "again" | "snapshot"> {
  /** Where to connect; null: not yet. Another address ends the old connection and begins anew. */
  readonly url: string | null;
  /** Called with every message that is no reply: each of them, in order. */
  readonly onMessage?: (message: Message) => void;
  /** Makes `url` good for one try: fetches a ticket, say. */
  readonly pass?: (url: string, signal: AbortSignal) => Promise<Address>;
  /** Read once for each client. */
  readonly settings?: Partial<Settings>;
}

export interface Realtime {
  readonly status: Status;
  readonly stats: () => Stats;
  /** The reply's data. Rejects with `RequestFailed`. */
  readonly send: (type: string, data?: unknown) => Promise<unknown>;
  readonly publish: (channel: string, event: string, payload: unknown) => Promise<unknown>;
  /** Hear a channel, over every loss. Returns what ends it: made for an effect. */
  readonly follow: (
    channel: string,
    listener: (happened: Happened) => void,
    hasState?: boolean,
  ) => () => void;
  readonly subscribe: (listener: (message: Message) => void) => () => void;
  /** Everything that passes, for a log of it. */
  readonly watch: (listener: (traffic: Traffic) => void) => () => void;
  readonly retryNow: () => void;
  readonly stop: () => void;
}

export function useRealtime(
  dial: Dial,
  resolve: (url: string) => string,
  options: UseRealtimeOptions,
): Realtime {
  const { url } = options;
  const hear = useEffectEvent((message: Message) => {
    options.onMessage?.(message);
  });

  const { client, realtime } = useMemo(() => {
    const address = async (signal: AbortSignal): Promise<Address> => {
      const absolute = resolve(url ?? "");
      return options.pass ? options.pass(absolute, signal) : { url: absolute };
    };
    const { again, snapshot, settings } = options;
    const client = new RealtimeClient({
      dial,
      address,
      ...(again !== undefined && { again }),
      ...(snapshot && { snapshot }),
      ...(settings && { settings }),
    });
    return { client, realtime: facade(client) };
    // A client is made for an address; what else it is given belongs to that address.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [dial, url]);

  // --8<-- [start:show]
  useEffect(() => client.onMessage(hear), [client]);
  useEffect(() => {
    if (url === null) return;
    client.start();
    return () => {
      client.stop();
    };
  }, [client, url]);

  const status = useSyncExternalStore(client.onStatus, client.getStatus, client.getStatus);
  // --8<-- [end:show]
  return useMemo(() => ({ status, ...realtime }), [status, realtime]);
}

function facade(client: RealtimeClient): Omit<Realtime, "status"> {
  return {
    stats: () => client.getStats(),
    send: (type, data) => client.send(type, data),
    publish: (channel, event, payload) => client.publish(channel, event, payload),
    follow: (channel, listener, hasState) => client.follow(channel, listener, hasState),
    subscribe: (listener) => client.onMessage(listener),
    watch: (listener) => client.onTraffic(listener),
    retryNow: () => {
      client.retryNow();
    },
    stop: () => {
      client.stop();
    },
  };
}
