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
import type { Message, Request } from "./envelope";
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
  /** Milliseconds from the last request to its reply; null before the first. */
  readonly roundTripMs: number | null;
}

/** One message as it passes: what was sent, or what came. */
export interface Traffic {
  readonly direction: "out" | "in";
  readonly message: Message;
}

interface Followed {
  readonly channel: string;
  readonly stream: Stream;
  readonly listeners: Emitter<[Happened]>;
  /** Whether there is a state to read; what is only passing has none, and leaves no gap. */
  readonly hasState: boolean;
  followers: number;
  /** The request whose answer we wait for; an older one's means nothing any more. */
  asked: string | null;
  loading: AbortController | null;
  timer?: ReturnType<typeof setTimeout>; // for the next try to read the state
}

/** Errors that asking again would not change. Any other may be over in a moment. */
const FINAL = new Set(["forbidden", "bad_request", "bad_message", "unknown_type"]);

export class RealtimeClient {
  #connection: Connection;
  #outbox: Outbox;
  #options: ClientOptions;
  #messages = new Emitter<[Message]>();
  #traffic = new Emitter<[Traffic]>();
  #changes = new Emitter<[]>();
  #followed = new Map<string, Followed>();
  // Subscriptions are not in the outbox: each connection asks anew, from the position of that moment.
  #asks = new Map<string, Followed>(); // requestId → who asked
  #lastId = 0;
  // Unique beyond this page: the server may remember requests of the page that was here before.
  #name = Math.random().toString(36).slice(2, 10);
  #sentAt = new Map<string, number>(); // requestId → by performance.now(), until there is a reply
  #roundTripMs: number | null = null;
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
    const { size: waiting } = this.#outbox;
    return { ...this.#counts, waiting, bufferedAmount, roundTripMs: this.#roundTripMs };
  }

  /** Hear every message that is no reply, in order. Returns what ends it. */
  onMessage(listener: (message: Message) => void): () => void {
    return this.#messages.on(listener);
  }

  /** See everything that passes, replies and requests too: for a log. Returns what ends it. */
  onTraffic(listener: (traffic: Traffic) => void): () => void {
    return this.#traffic.on(listener);
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

  /**
   * Hear what happens in a channel, from now on and over every loss. Returns what ends it.
   * `hasState`: whether the channel has one to read; what is only passing has none.
   */
  follow(channel: string, listener: (happened: Happened) => void, hasState = true): () => void {
    const known = this.#followed.get(channel);
    const followed = known ?? this.#begin(channel, hasState);
    followed.followers += 1;
    const end = followed.listeners.on(listener);
    // Who comes later needs the state too; everybody gets it once more.
    if (known && this.#canLoad(known) && this.getStatus().state === "open") {
      known.stream.position = null;
      this.#carryOut(known, "ask");
    }
    let over = false;
    return () => {
      if (over) return;
      over = true;
      end();
      followed.followers -= 1;
      if (followed.followers === 0) this.#end(followed);
    };
  }

  #canLoad({ hasState }: Followed): boolean {
    return hasState && this.#options.snapshot !== undefined;
  }

  #begin(channel: string, hasState: boolean): Followed {
    const listeners = new Emitter<[Happened]>();
    const report = (happened: Happened) => {
      listeners.emit(happened);
    };
    const stream = new Stream(report, this.#connection.settings.heldLimit);
    const nobody = { followers: 0, asked: null, loading: null };
    const followed: Followed = { channel, stream, listeners, hasState, ...nobody };
    this.#followed.set(channel, followed);
    if (this.getStatus().state === "open") this.#carryOut(followed, "ask");
    return followed;
  }

  #end(followed: Followed): void {
    const { channel } = followed;
    this.#forget(followed);
    this.#followed.delete(channel);
    if (this.getStatus().state === "open") this.#request("unsubscribe", { channel });
  }

  #opened(): void {
    this.#counts.opened += 1;
    // First the channels, so that who publishes to one is in it; then what has waited.
    for (const followed of this.#followed.values()) this.#carryOut(followed, "ask");
    this.#outbox.open((request) => {
      this.#write(request);
    });
  }

  #write(request: Request): void {
    this.#counts.sent += 1;
    this.#connection.send(request);
    this.#sentAt.set(request.requestId, performance.now());
    this.#traffic.emit({ direction: "out", message: request });
  }

  #received(message: Message): void {
    this.#counts.received += 1;
    this.#traffic.emit({ direction: "in", message });
    if (message.requestId !== undefined) {
      this.#measure(message.requestId);
      if (this.#answered(message)) return;
    }
    if (this.#outbox.take(message)) return;
    const followed =
      message.channel === undefined ? undefined : this.#followed.get(message.channel);
    if (followed) this.#carryOut(followed, followed.stream.event(message));
    this.#messages.emit(message);
  }

  #measure(requestId: string): void {
    const sentAt = this.#sentAt.get(requestId);
    if (sentAt === undefined) return;
    this.#sentAt.delete(requestId);
    this.#roundTripMs = performance.now() - sentAt;
  }

  #lost(code: number): void {
    this.#sentAt.clear();
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
    this.#write({ type, data, requestId });
    return requestId;
  }

  #answered(message: Message): boolean {
    const requestId = message.requestId ?? "";
    const followed = this.#asks.get(requestId);
    if (!followed) return false;
    this.#asks.delete(requestId);
    if (followed.asked !== requestId) return true;
    followed.asked = null;
    if (message.type !== "error") {
      const canLoad = this.#canLoad(followed);
      this.#carryOut(followed, followed.stream.answered(message.data, canLoad));
      return true;
    }
    const { code, message: text, retryAfter } = RequestFailed.from(message.data);
    if (FINAL.has(code)) followed.listeners.emit({ kind: "refused", code, text });
    else this.#later(followed, "ask", retryAfter);
    return true;
  }

  #carryOut(followed: Followed, next: Next): void {
    if (next === "ask") {
      const { channel, stream } = followed;
      this.#forget(followed);
      const since = stream.position;
      stream.asked();
      followed.asked = this.#request("subscribe", { channel, ...(since && { since }) });
      this.#asks.set(followed.asked, followed);
    } else if (next === "load") {
      void this.#load(followed);
    }
  }

  async #load(followed: Followed): Promise<void> {
    const loading = (followed.loading = new AbortController());
    try {
      const snapshot = await this.#options.snapshot?.(followed.channel, loading.signal);
      if (loading.signal.aborted || !snapshot) return;
      this.#carryOut(followed, followed.stream.loaded(snapshot));
    } catch {
      // Whatever the matter is, without the state nothing can be shown: again, and not in step.
      if (!loading.signal.aborted) this.#later(followed, "load", null);
    }
  }

  #later(followed: Followed, next: Next, seconds: number | null): void {
    const { settings } = this.#connection;
    const wait = (seconds ?? 0) * 1000 + delay(1, settings, Math.random);
    clearTimeout(followed.timer);
    followed.timer = setTimeout(() => {
      this.#carryOut(followed, next);
    }, wait);
  }

  #forget(followed: Followed): void {
    clearTimeout(followed.timer);
    followed.asked = null;
    followed.loading?.abort();
    followed.loading = null;
  }
}
