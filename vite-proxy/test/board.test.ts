/** The board against chapter 14's server, over either library: two users, cuts, roles. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { Board } from "../src/pages/Dashboard/board";
import { RealtimeClient } from "../src/realtime/client";
import type { Dial } from "../src/realtime/link";
import { Pass } from "../src/realtime/pass";
import { dialSocketIo } from "../src/realtime/socketIoLink";
import { dialWebSocket } from "../src/realtime/webSocketLink";
import {
  ACTIONS,
  METRICS,
  type Order,
  ORDERS,
  readOrder,
  snapshotReader,
  STATE_CHANNELS,
  TELEMETRY,
} from "../src/server";
import { Chapter } from "./chapter";
import { until } from "./waiting";
import { Wire } from "./wire";

const DRAWN_MS = 5;
const DRAFT = { customer: "Lin", items: [{ name: "tea", count: 2 }], total: 700, table: "7" };
const dials = { native: dialWebSocket, socketio: dialSocketIo } satisfies Record<string, Dial>;
type Transport = keyof typeof dials;

let server: Chapter;
let wire: Wire; // between the clients and the server
const passes: Record<string, Pass> = {};
const clients: RealtimeClient[] = [];

beforeAll(async () => {
  // Nothing moves but what the tests move; and they may be quick.
  const quick = { BUSINESS_SECONDS: "0", MESSAGE_RATE: "1000", MESSAGE_BURST: "1000" };
  server = await Chapter.start(14, { ...quick, HISTORY: "40", MAX_CONNECTIONS_PER_USER: "20" });
  wire = await Wire.to(Number(new URL(server.http).port));
  passes["alice"] = await Pass.logIn(server.http, "alice", "wonderland");
  passes["bob"] = await Pass.logIn(server.http, "bob", "builder");
});
afterAll(async () => {
  await wire.stop();
  await server.stop();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.stop();
});

function passOf(user: string): Pass {
  const pass = passes[user];
  if (!pass) throw new Error(`nobody is called ${user}`);
  return pass;
}

/** A user at a board. */
async function visitor(user: string, transport: Transport) {
  const [pass, board, name] = [
    passOf(user),
    new Board(DRAWN_MS),
    `${user}-${String(clients.length)}`,
  ];
  const place = `127.0.0.1:${String(wire.port)}`;
  const client = new RealtimeClient({
    dial: dials[transport],
    address: async (signal) =>
      transport === "native"
        ? { url: `ws://${place}/ws?client=${name}&ticket=${await pass.ticket(signal)}` }
        : { url: `http://${place}`, auth: { token: pass.token, client: name } },
    settings: { base: 20, cap: 100 },
    again: true,
    snapshot: snapshotReader(pass),
  });
  clients.push(client);
  for (const channel of STATE_CHANNELS) {
    client.follow(channel, (happened) => {
      board.hear(channel, happened);
    });
  }
  client.start();
  await until(`${user}'s board`, () => board.getView().loaded.size === STATE_CHANNELS.length);
  return { client, board };
}

function find(board: Board, id: string): Order | undefined {
  return board.getView().orders.find((order) => order.id === id);
}

/** What the server says there is. */
async function truth(): Promise<Map<string, Order>> {
  const read = snapshotReader(passOf("alice"));
  const { state } = await read(ORDERS, AbortSignal.timeout(5_000));
  const orders = Object.values(state).map(readOrder);
  return new Map(orders.map((order) => [order?.id ?? "", order as Order]));
}

describe.each(["native", "socketio"] as const)("over %s", (transport) => {
  test("what one does all see, and each by the rights of his role", async () => {
    const other = transport === "native" ? "socketio" : "native";
    const [alice, bob] = [await visitor("alice", transport), await visitor("bob", other)];

    const created = (await alice.client.send(ACTIONS.create, DRAFT)) as { id: string };
    await until("the order on bob's board", () => find(bob.board, created.id)?.status === "new");
    expect(find(bob.board, created.id)).toMatchObject({ ...DRAFT, status: "new" });

    expect(await bob.client.send(ACTIONS.advance, { id: created.id })).toMatchObject({
      id: created.id,
      status: "preparing",
    });
    await expect(bob.client.send(ACTIONS.cancel, { id: created.id })).rejects.toMatchObject({
      why: "refused",
      code: "forbidden",
    });
    expect(await alice.client.send(ACTIONS.cancel, { id: created.id })).toMatchObject({
      status: "cancelled",
    });
    await expect(bob.client.send(ACTIONS.advance, { id: created.id })).rejects.toMatchObject({
      code: "bad_request",
    });
    for (const { board } of [alice, bob]) {
      await until("the end of it", () => find(board, created.id)?.status === "cancelled");
    }
  });

  test("cut while it moves, the board is the server's in the end, and nothing was done twice", async () => {
    const before = (await truth()).size;
    const [alice, bob] = [await visitor("alice", transport), await visitor("bob", transport)];
    const reader = bob.client.getStats().opened;

    // 60 moves with a cut after each tenth: the replies of some are lost, and they are sent again.
    const orders = await Promise.all(
      Array.from({ length: 12 }, () => alice.client.send(ACTIONS.create, DRAFT)),
    );
    const moves: Promise<unknown>[] = [];
    for (let round = 0; round < 4; round += 1) {
      for (const order of orders as { id: string }[]) {
        moves.push(
          alice.client.send(
            round < 3 ? ACTIONS.advance : ACTIONS.create,
            round < 3 ? order : DRAFT,
          ),
        );
        if (moves.length % 10 === 0) {
          const opened = alice.client.getStats().opened;
          wire.cut();
          await until("it is back", () => alice.client.getStats().opened > opened);
        }
      }
    }
    await Promise.all(moves);

    const state = await truth();
    expect(state.size).toBe(before + 24); // 12 and 12, whatever was sent twice
    for (const { board } of [alice, bob]) {
      await until("the board is the server's", () => {
        const shown = new Map(board.getView().orders.map((order) => [order.id, order]));
        return (
          shown.size === state.size &&
          [...shown].every(([id, { status }]) => state.get(id)?.status === status)
        );
      });
      expect(new Map(board.getView().orders.map((order) => [order.id, order]))).toEqual(state);
    }
    for (const { id } of orders as { id: string }[]) expect(state.get(id)?.status).toBe("served");
    expect(bob.client.getStats().opened).toBeGreaterThan(reader);
  });

  test("who was away for longer than the history reads the state again", async () => {
    const [alice, bob] = [await visitor("alice", transport), await visitor("bob", transport)];
    bob.client.stop();
    for (let number = 0; number < 60; number += 1) await alice.client.send(ACTIONS.create, DRAFT);

    bob.client.start();

    const state = await truth();
    await until("bob has them all", () => bob.board.getView().orders.length === state.size);
  });

  test("a new token keeps the connection; a logout elsewhere ends it, and says why", async () => {
    const { client } = await visitor("bob", transport);
    const pass = passOf("bob");

    await pass.renew();
    const said = await client.send("auth:refresh", { token: pass.token });
    expect(said).toMatchObject({ expiresIn: expect.any(Number) as number });
    await pass.logOut();

    await until("the end", () => client.getStatus().state === "stopped");
    expect(client.getStatus().end?.code).toBe(4401);
    expect(client.getStats().opened).toBe(1);
    passes["bob"] = await Pass.logIn(server.http, "bob", "builder");
  });

  test("telemetry comes as samples, and is drawn apart from the board", async () => {
    const { client, board } = await visitor("bob", transport);
    client.follow(
      TELEMETRY,
      (happened) => {
        board.hear(TELEMETRY, happened);
      },
      false,
    );

    await until("two samples", () => board.getSamples().length > 1);

    const [sample] = board.getSamples();
    expect(Object.keys(sample ?? {}).sort()).toEqual([...METRICS].sort());
    expect(sample?.connections).toBeGreaterThan(0);
    const { drawn } = board.getView();
    await until("one more", () => board.getSamples().length > 2);
    expect(board.getView().drawn).toBe(drawn);
  });
});

test("many events are few drawings", async () => {
  const board = new Board(100);
  let drawn = 0;
  board.onView(() => (drawn += 1));
  board.hear(ORDERS, { kind: "snapshot", state: {}, seq: 0 });

  for (let seq = 1; seq <= 500; seq += 1) {
    const data = { ...DRAFT, id: `order-${String(seq % 50)}`, status: "new", updatedAt: seq };
    board.hear(ORDERS, { kind: "event", type: "order:update", data, seq });
  }

  await until("they are drawn", () => board.getView().orders.length === 50);
  expect(drawn).toBe(1);
  expect(Math.min(...board.getView().orders.map(({ updatedAt }) => updatedAt))).toBe(451);
});

test("what is no order is not drawn", () => {
  const good = { ...DRAFT, id: "order-1", status: "new", updatedAt: 1 };
  expect(readOrder(good)).toEqual(good);
  const wrong = [
    null,
    [],
    { ...good, id: 1 },
    { ...good, status: "eaten" },
    { ...good, total: "1" },
  ];
  expect(wrong.map(readOrder)).toEqual(wrong.map(() => null));
});
