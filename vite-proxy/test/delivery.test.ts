/** Channels over losses, against chapter 6's server: nothing lost, nothing twice, all in order. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { RealtimeClient } from "../src/realtime/client";
import { isObject } from "../src/realtime/envelope";
import { type Happened, type Snapshot, Stream } from "../src/realtime/stream";
import { dialWebSocket } from "../src/realtime/webSocketLink";
import { Chapter } from "./chapter";
import { until } from "./waiting";

let server: Chapter;
const clients: RealtimeClient[] = [];
const links = new Set<WebSocket>();

/** Every socket of this process, gone at once and without a close frame. */
function cutAll(): void {
  for (const socket of links) (socket as unknown as { terminate(): void }).terminate();
}

beforeAll(async () => {
  const Original = globalThis.WebSocket;
  globalThis.WebSocket = class extends Original {
    constructor(url: string | URL) {
      super(url);
      links.add(this);
    }
  };
  server = await Chapter.start(6, { HISTORY: "50" });
});
afterAll(() => server.stop());
afterEach(() => {
  for (const client of clients.splice(0)) client.stop();
});

function connect(device: string): RealtimeClient {
  const client = new RealtimeClient({
    dial: dialWebSocket,
    address: () => ({ url: `${server.ws}?client=${device}` }),
    settings: { base: 50, cap: 500 },
    again: true,
    snapshot: async (channel, signal) => {
      const response = await fetch(`${server.http}/api/channels/${channel}/snapshot`, { signal });
      return (await response.json()) as Snapshot;
    },
  });
  clients.push(client);
  client.start();
  return client;
}

/** What a reader of the channel ends up with: the values in order, or the state. */
function reader(client: RealtimeClient, channel: string) {
  const read = { values: [] as unknown[], state: {} as Record<string, unknown>, kinds: "" };
  client.follow(channel, (happened) => {
    read.kinds += happened.kind[0] ?? "";
    if (happened.kind === "snapshot") read.state = { ...happened.state };
    if (happened.kind === "event") {
      read.values.push(happened.data);
      if (isObject(happened.data)) read.state[String(happened.data["id"])] = happened.data;
    }
  });
  return read;
}

async function publish(channel: string, payload: unknown): Promise<void> {
  await server.post("/api/publish", { channel, event: "order:update", payload });
}

describe("over a loss of the connection", () => {
  test("what was missed is caught up, in order and once", async () => {
    const client = connect("reader-1");
    const read = reader(client, "orders:a");
    await until("the first state", () => read.kinds === "s");
    for (let number = 1; number <= 5; number += 1) await publish("orders:a", number);
    await until("the first five", () => read.values.length === 5);

    client.stop(); // away
    for (let number = 6; number <= 20; number += 1) await publish("orders:a", number);
    client.start();

    await until("the rest", () => read.values.length === 20);
    expect(read.values).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(read.kinds).toBe(`s${"e".repeat(20)}`); // the state was needed once
  });

  test("what is too far behind begins again from the state", async () => {
    const client = connect("reader-2");
    const read = reader(client, "orders:b");
    await until("the first state", () => read.kinds === "s");

    client.stop();
    for (let number = 1; number <= 60; number += 1) {
      await publish("orders:b", { id: String(number % 3), number });
    }
    client.start();

    await until("the state", () => Object.keys(read.state).length === 3);
    expect(read.kinds).toBe("ss");
    expect(read.state).toEqual({
      0: { id: "0", number: 60 },
      1: { id: "1", number: 58 },
      2: { id: "2", number: 59 },
    });
  });

  test("a server that was killed comes back with another epoch: the state, and go on", async () => {
    const client = connect("reader-3");
    const read = reader(client, "orders:c");
    await until("the first state", () => read.kinds === "s");
    await publish("orders:c", { id: "old" });
    await until("the event", () => read.values.length === 1);

    await server.stop("SIGKILL");
    await server.start();

    await until(
      "a state of the new epoch",
      () => read.kinds.endsWith("s") && read.kinds.length > 2,
    );
    expect(read.state).toEqual({});
    await publish("orders:c", { id: "new" });
    await until("the new event", () => read.values.length === 2);
    expect(read.state).toEqual({ new: { id: "new" } });
  });

  test("what is published over an outage takes effect once, in order", async () => {
    const listener = reader(connect("listener"), "orders:d");
    const publisher = connect("publisher");
    publisher.follow("orders:d", () => {});
    await until("both are in", () => listener.kinds === "s" && publisher.getStats().opened === 1);
    let cutter = "out"; // until it has the state it is told no event
    connect("cutter").follow("orders:d", ({ kind }) => {
      if (kind === "event" && cutter === "in") {
        cutter = "done";
        cutAll();
      } else if (cutter === "out") cutter = "in";
    });
    await until("the cutter is in", () => cutter === "in");
    const numbers = Array.from({ length: 40 }, (_, index) => index + 1);
    const make = (number: number) => publisher.publish("orders:d", "order:made", number);

    const underWay = numbers.slice(0, 20).map(make);
    await until("the cut", () => cutter === "done");
    await Promise.all([...underWay, ...numbers.slice(20).map(make)]);

    await until("the last one", () => listener.values.at(-1) === 40);
    expect(listener.values).toEqual(numbers);
    expect(publisher.getStats().opened).toBe(2);
  });

  test("who follows a channel later gets its state as well, and leaving hurts nobody", async () => {
    const client = connect("two-readers");
    const first = reader(client, "orders:e");
    await until("the first state", () => first.kinds === "s");
    await publish("orders:e", { id: "x" });
    await until("the event", () => first.values.length === 1);

    const leave = client.follow("orders:e", () => {});
    const second = reader(client, "orders:e");
    await until("its state", () => second.state["x"] !== undefined);
    leave();
    await publish("orders:e", { id: "y" });

    await until("both have it", () => [first, second].every((it) => it.state["y"] !== undefined));
    expect(second.state).toEqual(first.state);
  });

  test("leaving and coming again at once is no gap", async () => {
    const client = connect("hasty");
    await until("it is open", () => client.getStats().opened === 1);
    client.follow("orders:f", () => {})();

    const read = reader(client, "orders:f");

    await until("the state", () => read.kinds.length > 0);
    await publish("orders:f", { id: "z" });
    await until("the event", () => read.values.length === 1);
    expect(read.kinds).toBe("se");
  });

  test("a refusal is told, and not asked again", async () => {
    const told: Happened[] = [];
    connect("nosy").follow("role:admin", (happened) => told.push(happened));

    await until("the refusal", () => told.length > 0);

    expect(told).toEqual([
      { kind: "refused", code: "forbidden", text: expect.any(String) as string },
    ]);
  });
});

describe("a stream", () => {
  function stream() {
    const told: Happened[] = [];
    return { told, stream: new Stream((happened) => told.push(happened), 3) };
  }

  const event = (seq: number) => ({ type: "a:b", channel: "c:d", epoch: "e", seq, data: seq });

  test("asks for a gap, and drops what came already", () => {
    const { stream: one, told } = stream();
    one.asked();
    one.answered({ epoch: "e", seq: 5, recovered: true, missed: [] }, true);

    expect(one.event(event(6))).toBeNull();
    expect(one.event(event(6))).toBeNull();
    expect(one.event(event(8))).toBe("ask");
    expect(told.map((happened) => happened.kind)).toEqual(["event"]);
    expect(one.position).toEqual({ epoch: "e", seq: 6 });
  });

  test("applies to a state only what is younger", () => {
    const { stream: one, told } = stream();
    one.asked();
    expect(one.answered({ epoch: "e", seq: 1, recovered: false, missed: [] }, true)).toBe("load");
    one.event(event(2));
    one.event(event(3));

    one.loaded({ epoch: "e", seq: 2, state: { x: 1 } });

    expect(told).toEqual([
      { kind: "snapshot", state: { x: 1 }, seq: 2 },
      { kind: "event", type: "a:b", data: 3, seq: 3 },
    ]);
  });

  test("holds no more than its limit while the state is on its way", () => {
    const { stream: one } = stream();
    one.asked();
    one.answered({ epoch: "e", seq: 0, recovered: false, missed: [] }, true);

    expect([1, 2, 3, 4].map((seq) => one.event(event(seq)))).toEqual([null, null, null, "ask"]);
  });

  test("a state that comes after the connection has gone is not believed", () => {
    const { stream: one, told } = stream();
    one.asked();
    one.answered({ epoch: "e", seq: 0, recovered: false, missed: [] }, true);
    one.away();

    one.loaded({ epoch: "e", seq: 7, state: {} });

    expect(told).toEqual([]);
    expect(one.position).toBeNull();
  });

  test("a server that counts nothing leaves a gap at each return", () => {
    const { stream: one, told } = stream();
    one.asked();
    one.answered({ channel: "c:d" }, false);
    one.event({ type: "a:b", data: 1 });
    one.away();
    one.asked();
    one.answered({ channel: "c:d" }, false);

    expect(told.map((happened) => happened.kind)).toEqual(["event", "gap"]);
  });
});
