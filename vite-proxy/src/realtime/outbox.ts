/**
 * The outbox: every request that has no reply yet, in the order in which it was made, up to a limit.
 *
 * A request is a promise of its reply. It waits here while there is no connection, and it is settled
 * exactly once: by its reply, by its timeout, or by what became of the connection.
 */
import { TOO_BIG } from "./closeCodes";
import { isObject, type Message, type Request } from "./envelope";

export type Why =
  | "refused" // the server said no; `code` is its word for it
  | "full" // as many as may wait do so already
  | "timeout" // it was sent, and no reply came: the outcome is unknown
  | "lost" // the connection ended after it was sent: the outcome is unknown
  | "stopped"; // it will never be sent

export class RequestFailed extends Error {
  readonly why: Why;
  /** The error code of the contract, where the server gave one. */
  readonly code: string;
  /** Seconds, where the server says when to come again. */
  readonly retryAfter: number | null;

  constructor(why: Why, message: string, code = "", retryAfter: number | null = null) {
    super(message);
    this.why = why;
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** From the `data` of an error reply. */
  static from(data: unknown): RequestFailed {
    const { code, message, retryAfter } = isObject(data) ? data : {};
    const text = typeof message === "string" ? message : "the server refused";
    const wait = typeof retryAfter === "number" ? retryAfter : null;
    return new RequestFailed("refused", text, typeof code === "string" ? code : "", wait);
  }
}

interface Pending {
  readonly request: Request;
  readonly settle: (reply: Message) => void;
  readonly fail: (error: RequestFailed) => void;
  sent: boolean;
  timer?: ReturnType<typeof setTimeout>;
}

export interface OutboxOptions {
  readonly limit: number;
  readonly replyTimeout: number;
  /**
   * Whether to send again what has no reply when the connection is lost. Right only for a server
   * that knows a request when it sees it again; elsewhere an order would be made twice.
   */
  readonly again: boolean;
}

export class Outbox {
  #pending = new Map<string, Pending>(); // in the order of asking
  #options: OutboxOptions;
  #write: ((request: Request) => void) | null = null; // while there is a connection

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#pending.size;
  }

  ask(request: Request): Promise<Message> {
    return new Promise((settle, fail) => {
      if (this.#pending.size >= this.#options.limit) {
        const text = `${String(this.#options.limit)} requests are waiting already`;
        fail(new RequestFailed("full", text));
        return;
      }
      const pending: Pending = { request, settle, fail, sent: false };
      this.#pending.set(request.requestId, pending);
      this.#send(pending);
    });
  }

  /** There is a connection: whatever waits goes first, in its old order. */
  open(write: (request: Request) => void): void {
    this.#write = write;
    for (const pending of this.#pending.values()) this.#send(pending);
  }

  /** Settle what this message replies to; whether it was a reply at all. */
  take(message: Message): boolean {
    const pending = message.requestId === undefined ? undefined : this.#remove(message.requestId);
    if (!pending) return false;
    if (message.type === "error") pending.fail(RequestFailed.from(message.data));
    else pending.settle(message);
    return true;
  }

  /** The connection is gone. */
  lost(code: number): void {
    this.#write = null;
    const sent = [...this.#pending.values()].filter((pending) => pending.sent);
    const largest = code === TOO_BIG ? this.#largest(sent) : undefined;
    for (const pending of sent) {
      clearTimeout(pending.timer);
      pending.sent = false;
      if (pending === largest) this.#fail(pending, "refused", "the message is too big", "too_big");
      else if (!this.#options.again)
        this.#fail(pending, "lost", "the connection ended before the reply");
    }
  }

  /** Nothing will ever be sent again. */
  close(): void {
    this.#write = null;
    for (const pending of [...this.#pending.values()]) {
      const why = pending.sent ? "lost" : "stopped";
      this.#fail(pending, why, "stopped before there was a reply");
    }
  }

  #send(pending: Pending): void {
    if (!this.#write) return;
    this.#write(pending.request);
    pending.sent = true;
    pending.timer = setTimeout(() => {
      this.#fail(pending, "timeout", "no reply in time");
    }, this.#options.replyTimeout);
  }

  #fail(pending: Pending, why: Why, text: string, code = ""): void {
    this.#remove(pending.request.requestId);
    pending.fail(new RequestFailed(why, text, code));
  }

  #remove(requestId: string): Pending | undefined {
    const pending = this.#pending.get(requestId);
    clearTimeout(pending?.timer);
    this.#pending.delete(requestId);
    return pending;
  }

  #largest(sent: Pending[]): Pending | undefined {
    const size = (pending: Pending) => JSON.stringify(pending.request).length;
    return sent.reduce<Pending | undefined>(
      (most, one) => (most && size(most) >= size(one) ? most : one),
      undefined,
    );
  }
}
