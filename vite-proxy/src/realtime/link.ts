/**
 * A link: one connection of one library, from its dialling to its end. It never comes back by itself;
 * that is its owner's business, and the same for every library.
 */
import type { Message, Request } from "./envelope";

/** Where to connect this time. `auth` goes with a Socket.IO handshake. */
export interface Address {
  readonly url: string;
  readonly auth?: Readonly<Record<string, unknown>>;
}

export interface End {
  readonly code: number;
  readonly reason: string;
}

export interface LinkEvents {
  opened(): void;
  /** Something arrived, if only a sign of life. */
  heard(): void;
  message(message: Message): void;
  /** At most once, and never after `close`. */
  ended(end: End): void;
}

export interface Link {
  send(request: Request): void;
  /** Ask for a sign of life. */
  ping(): void;
  /** End it, and hear nothing of it from here on: no handler stays behind. No code: abandon it. */
  close(code?: number, reason?: string): void;
  /** Bytes that were handed over and are not on the wire yet. */
  readonly bufferedAmount: number;
}

export type Dial = (address: Address, events: LinkEvents) => Link;
