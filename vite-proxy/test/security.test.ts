/** Tickets and tokens, against chapter 8's server. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { RealtimeClient } from "../src/realtime/client";
import { Pass } from "../src/realtime/pass";
import { dialWebSocket } from "../src/realtime/webSocketLink";
import { Chapter } from "./chapter";
import { until } from "./waiting";

let server: Chapter;
const clients: RealtimeClient[] = [];

beforeAll(async () => {
  server = await Chapter.start(8, { TOKEN_SECONDS: "5", LOGIN_ATTEMPTS: "100" });
});
afterAll(() => server.stop());
afterEach(() => {
  for (const client of clients.splice(0)) client.stop();
});

function connect(pass: Pass): RealtimeClient {
  const client = new RealtimeClient({
    dial: dialWebSocket,
    address: async (signal) => ({ url: `${server.ws}?ticket=${await pass.ticket(signal)}` }),
    settings: { base: 50, cap: 500 },
  });
  clients.push(client);
  client.start();
  return client;
}

async function untilState(client: RealtimeClient, state: string): Promise<void> {
  await until(`state ${state}`, () => client.getStatus().state === state);
}

test("a wrong password is no way in", async () => {
  await expect(Pass.logIn(server.http, "alice", "wrong")).rejects.toMatchObject({ code: 4401 });
});

test("each connection has a ticket of its own", async () => {
  const pass = await Pass.logIn(server.http, "alice", "wonderland");
  expect([pass.user, pass.role]).toEqual(["alice", "admin"]);
  const client = connect(pass);
  await untilState(client, "open");
  const first = client.getStats().opened;

  client.stop();
  client.start();

  await untilState(client, "open");
  expect(client.getStats().opened).toBe(first + 1);
});

test("a token that is renewed in time keeps the connection, one that ends ends it for good", async () => {
  const pass = await Pass.logIn(server.http, "bob", "builder");
  const client = connect(pass);
  await untilState(client, "open");

  await until("half of its life", () => pass.secondsLeft < 2.5);
  await pass.renew();
  await client.send("auth:refresh", { token: pass.token });
  const renewed = pass.secondsLeft;
  expect(renewed).toBeGreaterThan(2.5);

  await untilState(client, "stopped"); // closed with 4410, and no ticket for the token that ended
  expect(client.getStats().opened).toBe(1);
  expect(client.getStatus().end?.code).toBe(4401);
});

test("whoever logs out is out on every connection, and does not come back", async () => {
  const pass = await Pass.logIn(server.http, "alice", "wonderland");
  const both = [connect(pass), connect(pass)];
  for (const client of both) await untilState(client, "open");

  await pass.logOut();

  for (const client of both) {
    await untilState(client, "stopped");
    expect(client.getStatus().end?.code).toBe(4401);
  }
});
