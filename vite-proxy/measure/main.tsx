/**
 * One component with one of two hooks, for counting what it does: `make hooks`, and the tests.
 *
 *   /measure/?hook=ours|source&url=ws://…[&strict][&heartbeat=ms][&base=ms]
 */
import { StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";

import { useWebSocket } from "../src/hooks/useWebSocket";
import { useWebSocket as useSource } from "./sourceHook";

const query = new URLSearchParams(location.search);
const url = query.get("url") ?? "";
const heartbeat = Number(query.get("heartbeat") ?? 15_000);
const base = Number(query.get("base") ?? 1_000);

/** Messages named "burst" that the component has got to see. */
const seen = new Set<unknown>();

function Ours() {
  const { status } = useWebSocket({
    url,
    settings: { heartbeat, base },
    onMessage: ({ type, data }) => {
      if (type === "burst") seen.add(data);
    },
  });
  return <p role="status">{status.state === "open" ? "connected" : status.state}</p>;
}

function Source() {
  const { connected, lastMessage } = useSource<{ type?: string; data?: unknown }>({
    url,
    heartbeatInterval: heartbeat,
  });
  useEffect(() => {
    if (lastMessage?.type === "burst") seen.add(lastMessage.data);
  }, [lastMessage]);
  return <p role="status">{connected ? "connected" : "not connected"}</p>;
}

const element = document.getElementById("root");
if (!element) throw new Error("the page has no root");
const root = createRoot(element);
const hook = query.get("hook") === "source" ? <Source /> : <Ours />;
root.render(query.has("strict") ? <StrictMode>{hook}</StrictMode> : hook);

Object.assign(window, {
  seen: () => seen.size,
  unmount: () => {
    root.unmount();
  },
});
