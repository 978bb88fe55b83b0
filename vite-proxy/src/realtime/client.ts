/**
 * The client: a connection, its outbox and its channels, as one thing to talk to.
 *
 *   const client = new RealtimeClient({ dial: dialWebSocket, address: () => ({ url: "/ws" }) });
 *   client.follow("room:lobby", (happened) => console.log(happened));
 *   client.start();
 *   await client.publish("room:lobby", "chat:say", { text: "hello" });
 *   client.stop();
 */
import { delay } from "./backoff";
import { Connection, type ConnectionOptions, type Status } from "./connection";
import { Emitter } from "./emitter";
import type { Message } from "./envelope";
import { Outbox, RequestFailed } from "./outbox";
import { type Happened, type Next, type Snapshot, Stream } from "./stream";

export interface ClientOptions extends ConnectionOptions {
  /** The server knows a request that comes twice: send again what has no reply after a loss. */
  readonly again?: boolean;
  /** Reads the state of a channel; without it, what cannot be recovered is a gap. */
  readonly snapshot?: (channel: string, signal: AbortSignal) => Promise<Snapshot>;
}

export interface Stats {
  readonly received: number;
  readonly sent: number;
  /** Connections that were opened since the start. */
  readonly opened: number;
  /** Requests without a reply yet. */
  readonly waiting: number;
  readonly bufferedAmount: number;
}

interface Followed {
  readonly stream: Stream;
  readonly listeners: Emitter<[Happened]>;
  followers: number;
  loading: AbortController | null;
  timer?: ReturnType<typeof setTimeout>; // for the next try to read the state
}

export class RealtimeClient {
  #connection: Connection;
  #outbox: Outbox;
  #options: ClientOptions;
  #messages = new Emitter<[Message]>();
  #changes = new Emitter<[]>();
  #followed = new Map<string, Followed>();
  // Subscriptions are not in the outbox: each connection asks anew, from the position of that moment.
  #asks = new Map<string, string>(); // requestId → channel
  #lastId = 0;
  // Unique beyond this page: the server may remember requests of the page that was here before.
  #name = Math.random().toString(36).slice(2, 10);
  #counts = { received: 0, sent: 0, opened: 0 };

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#connection = new Connection(options, {
      opened: () => {
        this.#opened();
      },
      message: (message) => {
        this.#received(message);
      },
      lost: ({ code }) => {
        this.#lost(code);
      },
      changed: () => {
        this.#changes.emit();
      },
    });
    const { outboxLimit: limit, replyTimeout } = this.#connection.settings;
    this.#outbox = new Outbox({ limit, replyTimeout, again: options.again ?? false });
  }

  start(): void {
    this.#connection.start();
  }

  stop(code?: number, reason?: string): void {
    this.#connection.stop(code, reason);
  }

  retryNow(): void {
    this.#connection.retryNow();
  }

  // Arrow functions: React is given these two as they are.
  getStatus = (): Status => this.#connection.status;
  onStatus = (listener: () => void): (() => void) => this.#changes.on(listener);

  getStats(): Stats {
    const { bufferedAmount } = this.#connection;
    return { ...this.#counts, waiting: this.#outbox.size, bufferedAmount };
  }

  /** Hear every message that is no reply, in order. Returns what ends it. */
  onMessage(listener: (message: Message) => void): () => void {
    return this.#messages.on(listener);
  }

  /** Ask; the promise is settled by the reply, its `data`. Rejects with `RequestFailed`. */
  async send(type: string, data?: unknown): Promise<unknown> {
    if (this.getStatus().state === "stopped") {
      throw new RequestFailed("stopped", "the connection was ended for good");
    }
    this.#lastId += 1;
    const requestId = `${this.#name}-${String(this.#lastId)}`;
    const reply = await this.#outbox.ask({ type, data, requestId });
    return reply.data;
  }

  publish(channel: string, event: string, payload: unknown): Promise<unknown> {
    return this.send("publish", { channel, event, payload });
  }

  /** Hear what happens in a channel, from now on and over every loss. Returns what ends it. */
  follow(channel: string, listener: (happened: Happened) => void): () => void {
    const followed = this.#followed.get(channel) ?? this.#begin(channel);
    followed.followers += 1;
    const end = followed.listeners.on(listener);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      end();
      followed.followers -= 1;
      if (followed.followers === 0) this.#end(channel, followed);
    };
  }

  #begin(channel: string): Followed {
    const listeners = new Emitter<[Happened]>();
    const report = (happened: Happened) => {
      listeners.emit(happened);
    };
    const stream = new Stream(report, this.#connection.settings.heldLimit);
    const followed: Followed = { stream, listeners, followers: 0, loading: null };
    this.#followed.set(channel, followed);
    if (this.getStatus().state === "open") this.#carryOut(channel, followed, "ask");
    return followed;
  }

  #end(channel: string, followed: Followed): void {
    this.#forget(followed);
    this.#followed.delete(channel);
    if (this.getStatus().state === "open") this.#request("unsubscribe", { channel });
  }

  #opened(): void {
    this.#counts.opened += 1;
    // First the channels, so that who publishes to one is in it; then what has waited.
    for (const [channel, followed] of this.#followed) this.#carryOut(channel, followed, "ask");
    this.#outbox.open((request) => {
      this.#counts.sent += 1;
      this.#connection.send(request);
    });
  }

  #received(message: Message): void {
    this.#counts.received += 1;
    if (message.requestId !== undefined && this.#answered(message)) return;
    if (this.#outbox.take(message)) return;
    const followed =
      message.channel === undefined ? undefined : this.#followed.get(message.channel);
    if (followed && message.channel !== undefined) {
      this.#carryOut(message.channel, followed, followed.stream.event(message));
    }
    this.#messages.emit(message);
  }

  #lost(code: number): void {
    for (const followed of this.#followed.values()) {
      this.#forget(followed);
      followed.stream.away();
    }
    this.#asks.clear();
    if (this.getStatus().state === "stopped") this.#outbox.close();
    else this.#outbox.lost(code);
  }

  #request(type: string, data: unknown): string {
    this.#lastId += 1;
    const requestId = `${this.#name}-${String(this.#lastId)}`;
    this.#counts.sent += 1;
    this.#connection.send({ type, data, requestId });
    return requestId;
  }

  #answered(message: Message): boolean {
    const channel = this.#asks.get(message.requestId ?? "");
    if (channel === undefined) return false;
    this.#asks.delete(message.requestId ?? "");
    const followed = this.#followed.get(channel);
    if (!followed) return true;
    if (message.type === "error") {
      const failed = RequestFailed.from(message.data);
      followed.listeners.emit({ kind: "refused", code: failed.code, text: failed.message });
      if (failed.code === "rate_limited") this.#later(channel, followed, "ask", failed.retryAfter);
    } else {
      const canLoad = this.#options.snapshot !== undefined;
      this.#carryOut(channel, followed, followed.stream.answered(message.data, canLoad));
    }
    return true;
  }

  #carryOut(channel: string, followed: Followed, next: Next): void {
    if (next === "ask") {
      this.#forget(followed);
      const since = followed.stream.position;
      followed.stream.asked();
      this.#asks.set(this.#request("subscribe", { channel, ...(since && { since }) }), channel);
    } else if (next === "load") {
      void this.#load(channel, followed);
    }
  }

  async #load(channel: string, followed: Followed): Promise<void> {
    const loading = (followed.loading = new AbortController());
    try {
      const snapshot = await this.#options.snapshot?.(channel, loading.signal);
      if (loading.signal.aborted || !snapshot) return;
      this.#carryOut(channel, followed, followed.stream.loaded(snapshot));
    } catch {
      // Whatever the matter is, without the state nothing can be shown: again, and not in step.
      if (!loading.signal.aborted) this.#later(channel, followed, "load", null);
    }
  }

  #later(channel: string, followed: Followed, next: Next, seconds: number | null): void {
    const { settings } = this.#connection;
    const wait = (seconds ?? 0) * 1000 + delay(1, settings, Math.random);
    clearTimeout(followed.timer);
    followed.timer = setTimeout(() => {
      this.#carryOut(channel, followed, next);
    }, wait);
  }

  #forget(followed: Followed): void {
    clearTimeout(followed.timer);
    followed.loading?.abort();
    followed.loading = null;
  }
}
