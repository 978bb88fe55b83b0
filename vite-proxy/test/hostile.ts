/** A small hostile server: it does to each connection what a test wants, and counts. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";

import { type WebSocket, WebSocketServer } from "ws";

import { decode } from "../src/realtime/envelope";
import { until } from "./waiting";

export type Behaviour = (socket: WebSocket, number: number) => void;

export class Hostile {
  /** Connections that were accepted, from the first on. */
  opened = 0;
  /** The most that were live at one instant. */
  mostLive = 0;
  /** Types of the messages that came, of all connections. */
  heard: string[] = [];
  #server: WebSocketServer;

  private constructor(server: WebSocketServer, behave: Behaviour) {
    this.#server = server;
    server.on("connection", (socket) => {
      this.opened += 1;
      this.mostLive = Math.max(this.mostLive, this.live);
      socket.on("error", () => {}); // a peer that resets is what we are here for
      socket.on("message", (data) => {
        // eslint-disable-next-line @typescript-eslint/no-base-to-string -- one buffer, as text
        this.heard.push(decode(data.toString())?.type ?? "?");
      });
      behave(socket, this.opened);
    });
  }

  static async start(behave: Behaviour, port = 0): Promise<Hostile> {
    const server = new WebSocketServer({ host: "127.0.0.1", port });
    await once(server, "listening");
    return new Hostile(server, behave);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${String(this.port)}/ws`;
  }

  get live(): number {
    return this.#server.clients.size;
  }

  /** Cut every connection: no close frame, no warning. */
  drop(): void {
    for (const socket of this.#server.clients) socket.terminate();
  }

  closeAll(code: number): void {
    for (const socket of this.#server.clients) socket.close(code);
  }

  say(type: string, data: unknown): void {
    const text = JSON.stringify({ type, data, ts: Date.now() });
    for (const socket of this.#server.clients) socket.send(text);
  }

  async untilOpened(count: number): Promise<void> {
    await until(`connection ${String(count)}, there are ${String(this.opened)}`, () => {
      return this.opened >= count;
    });
  }

  async untilLive(count: number): Promise<void> {
    await until(`${String(count)} live`, () => this.live === count);
  }

  async stop(): Promise<void> {
    this.drop();
    await new Promise((stopped) => {
      this.#server.close(stopped);
    });
  }
}

/** Welcomes, answers pings and echoes: as a chapter does. */
export function friendly(heartbeatMs: number): Behaviour {
  return (socket) => {
    welcome(socket, heartbeatMs);
    socket.on("message", (data) => {
      // eslint-disable-next-line @typescript-eslint/no-base-to-string -- one buffer, as text
      const message = decode(data.toString());
      if (!message) return;
      const type = message.type === "ping" ? "pong" : message.type;
      socket.send(JSON.stringify({ ...message, type, ts: Date.now() }));
    });
  };
}

export function welcome(socket: WebSocket, heartbeatMs: number): void {
  socket.send(JSON.stringify({ type: "welcome", ts: Date.now(), data: { heartbeatMs } }));
}
