// @vitest-environment jsdom
/**
 * The hooks, in React, against real servers. No `act()` around the waits: it holds renderings back,
 * and with them the very storm that these tests look for.
 */
import { cleanup, configure, render, screen } from "@testing-library/react";
import { StrictMode, useEffect } from "react";
import { afterEach, describe, expect, test } from "vitest";

import type { Realtime } from "../src/hooks/useRealtime";
import { useSocketIO } from "../src/hooks/useSocketIO";
import { useWebSocket } from "../src/hooks/useWebSocket";
import type { Message } from "../src/realtime/envelope";
import { Chapter } from "./chapter";
import { friendly, Hostile, welcome, type Behaviour } from "./hostile";
import { pause, until } from "./waiting";

configure({ reactStrictMode: false });
const CALM = 60_000;
const QUICK = { base: 40, cap: 200 };
const servers: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  cleanup();
  for (const server of servers.splice(0)) await server.stop();
});

async function hostile(behave: Behaviour): Promise<Hostile> {
  const server = await Hostile.start(behave);
  servers.push(server);
  return server;
}

function Board({ url, onMessage }: { url: string | null; onMessage?: (m: Message) => void }) {
  const { status } = useWebSocket({ url, settings: QUICK, ...(onMessage && { onMessage }) });
  return <p role="status">{status.state}</p>;
}

async function untilShown(state: string): Promise<void> {
  await until(`"${state}" on the page`, () => screen.getByRole("status").textContent === state);
}

describe("useWebSocket", () => {
  test("one drop is one new connection", async () => {
    const server = await hostile(friendly(CALM));
    render(<Board url={server.url} />);
    await untilShown("open");

    server.drop();

    await server.untilOpened(2);
    await untilShown("open");
    await pause(500);
    expect([server.opened, server.live, server.mostLive]).toEqual([2, 1, 1]);
  });

  test("StrictMode opens one", async () => {
    const server = await hostile(friendly(CALM));
    render(
      <StrictMode>
        <Board url={server.url} />
      </StrictMode>,
    );
    await untilShown("open");

    await pause(500);
    expect([server.opened, server.live]).toEqual([1, 1]);
  });

  test("after the unmount there is none, and none comes", async () => {
    const server = await hostile(friendly(CALM));
    const { unmount } = render(<Board url={server.url} />);
    await untilShown("open");

    unmount();

    await server.untilLive(0);
    await pause(500);
    expect(server.opened).toBe(1);
  });

  test("a terminal code stops it, and the page shows it", async () => {
    const server = await hostile((socket) => {
      socket.close(4401);
    });
    render(<Board url={server.url} />);

    await untilShown("stopped");
    await pause(300);
    expect(server.opened).toBe(1);
  });

  test("after a silence it is back", async () => {
    const server = await hostile((socket, number) => {
      if (number === 1) welcome(socket, 200);
      else friendly(CALM)(socket, number);
    });
    render(<Board url={server.url} />);

    await server.untilOpened(2);
    await untilShown("open");
    expect(server.opened).toBe(2);
  });

  test("1,000 of 1,000 messages of a burst are seen, by the newest callback", async () => {
    const server = await hostile(friendly(CALM));
    const seen = { old: 0, new: [] as unknown[] };
    const { rerender } = render(<Board url={server.url} onMessage={() => (seen.old += 1)} />);
    await untilShown("open");
    await until("the welcome", () => seen.old === 1);
    rerender(<Board url={server.url} onMessage={({ data }) => seen.new.push(data)} />);

    for (let number = 0; number < 1_000; number += 1) server.say("burst", number);

    await until("the last one", () => seen.new.at(-1) === 999);
    expect(seen.new).toEqual(Array.from({ length: 1_000 }, (_, number) => number));
    expect([seen.old, server.opened]).toEqual([1, 1]);
  });

  test("another address ends the old connection with 1000 and opens one", async () => {
    const codes: number[] = [];
    const first = await hostile((socket, number) => {
      socket.on("close", (code) => codes.push(code));
      friendly(CALM)(socket, number);
    });
    const second = await hostile(friendly(CALM));
    const { rerender } = render(<Board url={first.url} />);
    await untilShown("open");

    rerender(<Board url={second.url} />);

    await second.untilLive(1);
    await first.untilLive(0);
    await pause(300);
    expect([first.opened, second.opened, codes]).toEqual([1, 1, [1000]]);
  });

  test("no address, no socket", async () => {
    const server = await hostile(friendly(CALM));
    const { rerender } = render(<Board url={null} />);
    await pause(200);
    expect(server.opened).toBe(0);

    rerender(<Board url={server.url} />);

    await untilShown("open");
  });
});

describe.each([
  ["useWebSocket", 5, useWebSocket, "/ws"],
  ["useSocketIO", 10, useSocketIO, "/"],
] as const)("%s against chapter %i", (_, number, useHook, path) => {
  test("rooms, replies and an outage", { timeout: 60_000 }, async () => {
    const server = await Chapter.start(number, { ALLOWED_ORIGINS: location.origin });
    servers.push(server);
    const heard: unknown[] = [];
    const latest: { realtime?: Realtime } = {};

    function Lobby() {
      const realtime = useHook({ url: server.http + path, settings: QUICK });
      const { follow, status } = realtime;
      useEffect(() => {
        latest.realtime = realtime;
      });
      useEffect(
        () =>
          follow("room:lobby", (happened) => {
            if (happened.kind === "event") heard.push(happened.data);
            else heard.push(happened.kind);
          }),
        [follow],
      );
      return <p role="status">{status.state}</p>;
    }
    render(<Lobby />);
    await untilShown("open");
    const say = (text: string) => latest.realtime?.publish("room:lobby", "chat:say", text);

    expect(await say("one")).toMatchObject({ channel: "room:lobby", receivers: 1 });
    await expect(latest.realtime?.publish("room:other", "chat:say", "x")).rejects.toMatchObject({
      code: "not_subscribed",
    });
    await expect(latest.realtime?.send("publish", {})).rejects.toMatchObject({
      code: "bad_request",
    });
    await until("the event", () => heard.length === 1);

    await server.stop("SIGKILL");
    await until("the loss to be seen", () => screen.getByRole("status").textContent !== "open");
    await server.start();
    await untilShown("open");

    expect(await say("two")).toMatchObject({ receivers: 1 });
    await until("the second event", () => heard.includes("two"));
    expect(heard).toEqual(["one", "gap", "two"]);
  });
});
