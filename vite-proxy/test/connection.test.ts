/** The connection, against a server that does its worst: how many, how often, and when it stops. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, describe, expect, test } from "vitest";

import { delay } from "../src/realtime/backoff";
import { RealtimeClient } from "../src/realtime/client";
import { Denied, meaning } from "../src/realtime/connection";
import { Heartbeat } from "../src/realtime/heartbeat";
import type { Message } from "../src/realtime/envelope";
import type { Settings } from "../src/realtime/settings";
import { dialWebSocket } from "../src/realtime/webSocketLink";
import { type Behaviour, friendly, Hostile, welcome } from "./hostile";
import { pause, until } from "./waiting";

const QUICK: Partial<Settings> = { base: 40, cap: 200, stable: 5_000 };
const CALM = 60_000; // a heartbeat that does not beat while the test runs
const ended: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

async function hostile(behave: Behaviour, port = 0): Promise<Hostile> {
  const server = await Hostile.start(behave, port);
  ended.push(() => server.stop());
  return server;
}

function connect(server: Hostile, settings = QUICK, random?: () => number): RealtimeClient {
  const client = new RealtimeClient({
    dial: dialWebSocket,
    address: () => ({ url: server.url }),
    settings,
    ...(random && { random }),
  });
  ended.push(() => {
    client.stop();
  });
  client.start();
  return client;
}

async function untilState(client: RealtimeClient, state: string): Promise<void> {
  await until(`state ${state}`, () => client.getStatus().state === state);
}

describe("one owner", () => {
  test("four drops are four new connections, and never two at once", async () => {
    const server = await hostile(friendly(CALM));
    const client = connect(server);

    for (let drops = 1; drops <= 4; drops += 1) {
      await server.untilOpened(drops);
      await untilState(client, "open");
      server.drop();
      await server.untilOpened(drops + 1);
    }

    await untilState(client, "open");
    await pause(500); // time for another one to come, if one is on its way
    expect(server.opened).toBe(5);
    expect(server.mostLive).toBe(1);
  });

  test("start, stop and start again in one go dial once", async () => {
    const server = await hostile(friendly(CALM));
    const client = connect(server);

    client.stop();
    client.start();
    await untilState(client, "open");

    await pause(300);
    expect(server.opened).toBe(1);
  });

  test("a stop while it waits leaves nothing behind", async () => {
    const server = await hostile((socket) => {
      socket.terminate();
    });
    const client = connect(server, { ...QUICK, base: 200 });
    await untilState(client, "waiting");

    client.stop();

    const before = server.opened;
    await pause(600);
    expect(server.opened).toBe(before);
    expect(client.getStatus().state).toBe("stopped");
  });

  test("a stop while the address is being fetched dials nobody", async () => {
    const server = await hostile(friendly(CALM));
    let give = () => {};
    const given = new Promise<void>((resolve) => (give = resolve));
    let aborted = false;
    const client = new RealtimeClient({
      dial: dialWebSocket,
      address: async (signal) => {
        await given;
        aborted = signal.aborted;
        return { url: server.url };
      },
    });
    client.start();
    await pause(0);

    client.stop();
    give();

    await until("the address to be there", () => aborted);
    await pause(200);
    expect(server.opened).toBe(0);
  });
});

describe("what the end says", () => {
  test.each([1000, 1008, 4400, 4401, 4403, 4409])("after %i it stops", async (code) => {
    const server = await hostile((socket) => {
      socket.close(code, "because");
    });
    const client = connect(server);

    await untilState(client, "stopped");

    await pause(300); // several times the longest first wait
    expect(server.opened).toBe(1);
    expect(client.getStatus().end).toEqual({ code, reason: "because" });
  });

  test.each([1001, 1011, 1012, 4008, 4410, 4999])("after %i it comes back", async (code) => {
    const server = await hostile((socket, number) => {
      if (number === 1) socket.close(code);
      else welcome(socket, CALM);
    });
    const client = connect(server);

    await server.untilOpened(2);

    await untilState(client, "open");
    expect(client.getStats().opened).toBe(2);
  });

  test("no way in: it stops, and says why", async () => {
    const client = new RealtimeClient({
      dial: dialWebSocket,
      address: () => Promise.reject(new Denied(4401, "log in again")),
    });

    client.start();

    await untilState(client, "stopped");
    const { end } = client.getStatus();
    expect(end && meaning(end)).toBe("4401 · unauthorized · log in again");
  });

  test("the table of close codes is chapter 4's", () => {
    const read = (...parts: string[]) => readFileSync(join(import.meta.dirname, "..", ...parts));
    expect(read("src/realtime/close-codes.json")).toEqual(
      read("../chapters/04-reconnect/close-codes.json"),
    );
  });
});

describe("waiting", () => {
  test("a server that accepts and closes at once sees few connections", async () => {
    const server = await hostile((socket) => {
      socket.close(1011);
    });

    connect(server, { base: 500, cap: 60_000 }, () => 1); // the longest waits: 500, 1000, 2000 …

    await pause(2_000);
    expect(server.opened).toBeGreaterThanOrEqual(2);
    expect(server.opened).toBeLessThanOrEqual(3);
  });

  test("the ceiling doubles up to the cap, and the jitter is full", () => {
    const settings = { base: 1_000, cap: 30_000 };
    const ceilings = [0, 1, 2, 3, 4, 5, 6].map((attempt) => delay(attempt, settings, () => 1));
    expect(ceilings).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    expect(delay(3, settings, () => 0)).toBe(0);
  });

  test("only a connection that held begins anew", async () => {
    const server = await hostile((socket, number) => {
      if (number < 4) socket.terminate();
      else welcome(socket, CALM);
    });
    const client = connect(server, { base: 20, cap: 100, stable: 500 });
    await server.untilOpened(4);
    await untilState(client, "open");
    expect(client.getStatus().attempt).toBe(3);

    const attempts: number[] = []; // of the moments in which it waits, which may be short
    client.onStatus(() => {
      const { state, attempt } = client.getStatus();
      if (state === "waiting") attempts.push(attempt);
    });

    await pause(700);
    server.drop();

    await until("it waits", () => attempts.length > 0);
    expect(attempts[0]).toBe(1);
  });

  test("a slow server is given up after the time for a handshake", async () => {
    const client = new RealtimeClient({
      dial: dialWebSocket,
      address: () => new Promise(() => {}),
      settings: { connectTimeout: 100 },
    });

    client.start();

    await untilState(client, "waiting");
    expect(client.getStatus().end?.reason).toBe("no answer in time");
    client.stop();
  });
});

describe("silence", () => {
  test("a link that says nothing is asked twice, given up, and replaced", async () => {
    const server = await hostile((socket, number) => {
      if (number === 1)
        welcome(socket, 200); // and never another word
      else friendly(CALM)(socket, number);
    });
    const client = connect(server);

    await server.untilOpened(2);

    await untilState(client, "open");
    expect(server.heard.filter((type) => type === "ping")).toHaveLength(2);
    expect(server.opened).toBe(2);
  });

  test("a link that answers is kept", async () => {
    const server = await hostile(friendly(200));
    const client = connect(server);

    await until("five pings", () => server.heard.length >= 5);

    expect(server.opened).toBe(1);
    expect(client.getStatus().state).toBe("open");
  });

  test("who slept asks before judging", () => {
    const heartbeat = new Heartbeat(1_000, 0);

    expect(heartbeat.look(60_000)).toEqual({ what: "ask" });
    expect(heartbeat.look(60_000)).toEqual({ what: "ask" });
    expect(heartbeat.look(60_000)).toEqual({ what: "wait", ms: 250 });
    heartbeat.heard(60_100);
    expect(heartbeat.look(60_250)).toEqual({ what: "wait", ms: 850 });
  });
});

describe("messages", () => {
  test("all of a burst arrive, in order", async () => {
    const server = await hostile(friendly(CALM));
    const seen: number[] = [];
    const client = connect(server);
    client.onMessage(({ type, data }: Message) => {
      if (type === "burst") seen.push(data as number);
    });
    await untilState(client, "open");

    for (let number = 0; number < 1_000; number += 1) server.say("burst", number);

    await until("the last one", () => seen.at(-1) === 999);
    expect(seen).toEqual(Array.from({ length: 1_000 }, (_, number) => number));
  });

  test("a listener that throws hurts nobody else, and is not silenced", async () => {
    const server = await hostile(friendly(CALM));
    const client = connect(server);
    const seen: string[] = [];
    const complaints: unknown[] = [];
    const others = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => complaints.push(error.message));
    ended.push(() => {
      process.removeAllListeners("uncaughtException");
      for (const other of others) process.on("uncaughtException", other);
    });
    client.onMessage(() => {
      throw new Error("a mistake in a listener");
    });
    client.onMessage(({ type }) => seen.push(type));

    await until("the welcome and its complaint", () => seen.length > 0 && complaints.length > 0);

    expect(seen).toEqual(["welcome"]);
    expect(complaints).toEqual(["a mistake in a listener"]);
  });
});

describe("requests", () => {
  test("what is asked while there is no connection waits, up to a limit, in order", async () => {
    const server = await hostile(friendly(CALM));
    const client = connect(server, { ...QUICK, outboxLimit: 3 });

    const asked = ["a", "b", "c"].map((name) => client.send("echo", name));
    await expect(client.send("echo", "d")).rejects.toMatchObject({ why: "full" });

    expect(await Promise.all(asked)).toEqual(["a", "b", "c"]);
    expect(server.heard).toEqual(["echo", "echo", "echo"]);
  });

  test("after a loss the outcome is unknown, and said to be", async () => {
    const server = await hostile((socket) => {
      socket.on("message", () => {
        socket.terminate();
      });
    });
    const client = connect(server);

    await expect(client.send("publish", {})).rejects.toMatchObject({ why: "lost" });
  });

  test("a server that knows repeats gets what has no reply once more", async () => {
    const server = await hostile((socket, number) => {
      if (number > 1) friendly(CALM)(socket, number);
      else
        socket.on("message", () => {
          socket.terminate();
        });
    });
    const client = new RealtimeClient({
      dial: dialWebSocket,
      address: () => ({ url: server.url }),
      settings: QUICK,
      again: true,
    });
    ended.push(() => {
      client.stop();
    });
    client.start();

    expect(await client.send("echo", "twice")).toBe("twice");

    expect(server.heard).toEqual(["echo", "echo"]);
  });

  test("a message that is too big is never sent again", async () => {
    const server = await hostile((socket, number) => {
      if (number > 1) friendly(CALM)(socket, number);
      else
        socket.on("message", () => {
          socket.close(1009);
        });
    });
    const client = new RealtimeClient({
      dial: dialWebSocket,
      address: () => ({ url: server.url }),
      settings: QUICK,
      again: true,
    });
    ended.push(() => {
      client.stop();
    });
    client.start();

    const big = client.send("echo", "x".repeat(1_000));
    const small = client.send("echo", "x");

    await expect(big).rejects.toMatchObject({ code: "too_big" });
    expect(await small).toBe("x");
  });

  test("no reply in time is told, and a stop settles what waits", async () => {
    const server = await hostile((socket) => {
      welcome(socket, CALM);
    });
    const client = connect(server, { ...QUICK, replyTimeout: 100 });
    await expect(client.send("echo")).rejects.toMatchObject({ why: "timeout" });

    const waiting = client.send("echo");
    client.stop();

    await expect(waiting).rejects.toMatchObject({ why: "lost" });
    await expect(client.send("echo")).rejects.toMatchObject({ why: "stopped" });
  });
});
