/**
 * A stream: the events of one channel, each applied once and in order, whatever became of the
 * connection meanwhile.
 *
 * It knows how far it has read: epoch and seq. An event is the next one, or came already; anything
 * else is a gap, and the server is asked for it. Where the server cannot tell any more, the state is
 * read, the snapshot, and only what is younger is applied to it, the delta.
 */
import { isObject, type Message } from "./envelope";

export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

export interface Snapshot extends Position {
  readonly state: Readonly<Record<string, unknown>>;
}

export type Happened =
  | {
      readonly kind: "event";
      readonly type: string;
      readonly data: unknown;
      readonly seq: number | null;
    }
  /** Forget what you have: this is all of it. */
  | { readonly kind: "snapshot"; readonly state: Snapshot["state"]; readonly seq: number }
  /** Something may be missing, and nobody can say what. */
  | { readonly kind: "gap" }
  /** The server does not let us in; we do not ask again. */
  | { readonly kind: "refused"; readonly code: string; readonly text: string };

/** What has to be done next: ask the server from our position, read the state, or nothing. */
export type Next = "ask" | "load" | null;

export class Stream {
  position: Position | null = null;
  #phase: "away" | "asking" | "loading" | "live" = "away";
  #held: Message[] = []; // events that came while the state was on its way
  #everLive = false;
  #report: (happened: Happened) => void;
  #heldLimit: number;

  constructor(report: (happened: Happened) => void, heldLimit: number) {
    this.#report = report;
    this.#heldLimit = heldLimit;
  }

  get live(): boolean {
    return this.#phase === "live";
  }

  /** We ask now; what comes before the answer is in the answer. */
  asked(): void {
    this.#phase = "asking";
    this.#held = [];
  }

  away(): void {
    this.#phase = "away";
    this.#held = [];
  }

  /** The server's `subscribed`. `canLoad`: whether there is a state to be read. */
  answered(answer: unknown, canLoad: boolean): Next {
    const said = isObject(answer) ? answer : {};
    const { epoch, seq, recovered, missed } = said;
    if (typeof epoch !== "string" || typeof seq !== "number") {
      this.#goLive(this.#everLive); // a server that counts nothing: what we missed, nobody knows
      return null;
    }
    if (recovered === true && Array.isArray(missed)) {
      this.position ??= { epoch, seq: seq - missed.length };
      if (missed.every((event) => this.#apply(event))) {
        this.#goLive(false);
        return null;
      }
    }
    if (canLoad) {
      this.#phase = "loading";
      return "load";
    }
    this.position = { epoch, seq };
    this.#goLive(this.#everLive);
    return null;
  }

  /** The state is here. What it contains already is dropped, as anything that came before. */
  loaded({ epoch, seq, state }: Snapshot): Next {
    if (this.#phase !== "loading") return null; // too late: that connection is gone
    this.position = { epoch, seq };
    this.#report({ kind: "snapshot", state, seq });
    const held = this.#held;
    this.#held = [];
    this.#goLive(false);
    return held.every((event) => this.#apply(event)) ? null : "ask";
  }

  /** An event of this channel. */
  event(message: Message): Next {
    if (this.#phase === "loading") {
      if (this.#held.length >= this.#heldLimit) return "ask"; // all of it again, from the server
      this.#held.push(message);
      return null;
    }
    if (this.#phase !== "live") return null;
    if (message.epoch === undefined || message.seq === undefined) {
      this.#report({ kind: "event", type: message.type, data: message.data, seq: null });
      return null;
    }
    return this.#apply(message) ? null : "ask";
  }

  #goLive(gap: boolean): void {
    this.#phase = "live";
    this.#everLive = true;
    if (gap) this.#report({ kind: "gap" });
  }

  /** Apply an event if it is the next one; false if something is missing before it. */
  #apply(event: unknown): boolean {
    if (!isObject(event)) return false;
    const { epoch, seq, type, data } = event;
    if (typeof seq !== "number" || typeof type !== "string" || epoch !== this.position?.epoch) {
      return false;
    }
    if (this.position === null || seq > this.position.seq + 1) return false;
    if (seq <= this.position.seq) return true; // it came already
    this.position = { epoch: this.position.epoch, seq };
    this.#report({ kind: "event", type, data, seq });
    return true;
  }
}
