/**
 * A connection that comes back: one owner, one link at a time, one timer for what comes next.
 *
 * It lives outside React, because it outlives a rendering. What a page draws of it is `status`, a
 * value that never changes but is replaced; messages go to handlers, each of them, and never
 * through a state in which the next one would overwrite the last.
 */
import { delay } from "./backoff";
import { CLOSE_CODES, comesBack, DONE, LOST, pauseAfter } from "./closeCodes";
import type { Message, Request } from "./envelope";
import { isObject } from "./envelope";
import { Heartbeat } from "./heartbeat";
import type { Address, Dial, End, Link } from "./link";
import { DEFAULTS, type Settings } from "./settings";
import { after, type Happening, type State } from "./states";

export interface Status {
  readonly state: State;
  /** Tries since the last connection that held. */
  readonly attempt: number;
  /** When the next try comes, by `Date.now()`; null: there is none, or it waits for the network. */
  readonly retryAt: number | null;
  /** Nothing has been heard for a whole interval, and we have asked. */
  readonly quiet: boolean;
  /** How the last connection ended; null before that. */
  readonly end: End | null;
}

export interface Handlers {
  opened(): void;
  message(message: Message): void;
  /** The link is gone; whether another one comes is in `status`. */
  lost(end: End): void;
  changed(): void;
}

export interface ConnectionOptions {
  readonly dial: Dial;
  /** Asked anew for each try: a ticket is used up by one. Throw `Denied` to end it all. */
  readonly address: (signal: AbortSignal) => Address | Promise<Address>;
  readonly settings?: Partial<Settings>;
  /** From 0 up to 1. */
  readonly random?: () => number;
}

/** There is no way in, and trying again would not find one. */
export class Denied extends Error {
  readonly code: number;

  constructor(code: number, reason: string) {
    super(reason);
    this.code = code;
  }
}

/** Who tells of "online" and "offline": the window of a page. Node has none. */
const network = (globalThis as { window?: Window }).window;
const IDLE: Status = { state: "idle", attempt: 0, retryAt: null, quiet: false, end: null };

export class Connection {
  readonly settings: Settings;
  status = IDLE;
  #options: ConnectionOptions;
  #handlers: Handlers;
  #random: () => number;
  #link: Link | null = null;
  #asking: AbortController | null = null; // for the address of this try
  #timer: ReturnType<typeof setTimeout> | undefined; // of the state we are in, whatever it waits for
  #heartbeat: Heartbeat;
  #openedAt = 0;

  constructor(options: ConnectionOptions, handlers: Handlers) {
    this.settings = { ...DEFAULTS, ...options.settings };
    this.#options = options;
    this.#handlers = handlers;
    this.#random = options.random ?? Math.random;
    this.#heartbeat = new Heartbeat(this.settings.heartbeat, now());
  }

  start(): void {
    if (this.status.state !== "idle" && this.status.state !== "stopped") return;
    this.status = IDLE;
    network?.addEventListener("online", this.#networkChanged);
    network?.addEventListener("offline", this.#networkChanged);
    this.#connect();
  }

  /** For good: whatever it was doing, it does no more. */
  stop(code = DONE, reason = ""): void {
    if (this.status.state === "idle" || this.status.state === "stopped") return;
    this.#letGo(code, reason);
    this.#stopped({ code, reason });
  }

  /** Do not wait any longer for the next try. */
  retryNow(): void {
    if (this.status.state === "waiting") this.#connect();
  }

  /** Hand a request to the open link. Throws if there is none. */
  send(request: Request): void {
    if (this.#link === null || this.status.state !== "open") throw new Error("not connected");
    this.#link.send(request);
  }

  get bufferedAmount(): number {
    return this.#link?.bufferedAmount ?? 0;
  }

  #connect(): void {
    clearTimeout(this.#timer);
    this.#move("try", { retryAt: null });
    const asking = (this.#asking = new AbortController());
    this.#timer = setTimeout(() => {
      this.#ended({ code: LOST, reason: "no answer in time" });
    }, this.settings.connectTimeout);
    void this.#dial(asking.signal);
  }

  /** The only place that waits for something else than the timer; whoever lets go aborts it. */
  async #dial(signal: AbortSignal): Promise<void> {
    // Not at once: where React mounts, unmounts and mounts again, only the last of them dials.
    await Promise.resolve();
    try {
      signal.throwIfAborted();
      const address = await this.#options.address(signal);
      signal.throwIfAborted();
      this.#link = this.#options.dial(address, {
        opened: () => {
          this.#opened();
        },
        heard: () => {
          this.#heard();
        },
        message: (message) => {
          this.#message(message);
        },
        ended: (end) => {
          this.#ended(end);
        },
      });
    } catch (error) {
      if (signal.aborted) return;
      const reason = error instanceof Error ? error.message : String(error);
      this.#ended({ code: error instanceof Denied ? error.code : LOST, reason });
    }
  }

  #opened(): void {
    this.#openedAt = now();
    this.#heartbeat = new Heartbeat(this.settings.heartbeat, now());
    this.#move("opened", { end: null });
    this.#look();
    this.#handlers.opened();
  }

  #heard(): void {
    this.#heartbeat.heard(now());
    if (this.status.quiet) this.#show({ quiet: false });
  }

  #message(message: Message): void {
    const { type, data } = message;
    const named = type === "welcome" && isObject(data) ? data["heartbeatMs"] : undefined;
    if (typeof named === "number" && named > 0) {
      this.#heartbeat.interval = named;
      this.#look();
    }
    this.#handlers.message(message);
  }

  /** Is somebody still there? Asks, gives up, or looks again later. */
  #look(): void {
    clearTimeout(this.#timer);
    if (this.status.state !== "open") return;
    const verdict = this.#heartbeat.look(now());
    if (verdict.what === "dead") {
      const silence = Math.round(this.#heartbeat.silence(now()));
      this.#ended({ code: LOST, reason: `nothing heard for ${String(silence)} ms` });
      return;
    }
    if (verdict.what === "ask") {
      this.#link?.ping();
      this.#show({ quiet: true });
    }
    const ms = verdict.what === "wait" ? verdict.ms : 0;
    this.#timer = setTimeout(() => {
      this.#look();
    }, ms);
  }

  /** Whatever ended it: here, and only here, it is decided what comes next. */
  #ended(end: End): void {
    const held = this.status.state === "open" && now() - this.#openedAt >= this.settings.stable;
    this.#letGo();
    if (!comesBack(end.code)) {
      this.#stopped(end);
      return;
    }
    const tries = held ? 0 : this.status.attempt;
    const wait = pauseAfter(end.code) + delay(tries, this.settings, this.#random);
    this.#move("lost", { attempt: tries + 1, end, quiet: false });
    this.#handlers.lost(end);
    // A handler may have stopped it, or tried at once.
    if (this.status.state === "waiting") this.#wait(wait);
  }

  #wait(ms: number): void {
    clearTimeout(this.#timer);
    if (!online()) {
      this.#show({ retryAt: null }); // no network, no use: the event "online" goes on
      return;
    }
    this.#timer = setTimeout(() => {
      this.#connect();
    }, ms);
    this.#show({ retryAt: Date.now() + ms });
  }

  #networkChanged = (): void => {
    if (this.status.state !== "waiting") return; // an open link has its heartbeat, which knows better
    this.#wait(delay(0, this.settings, this.#random)); // soon, and still not all at one moment
  };

  #stopped(end: End): void {
    network?.removeEventListener("online", this.#networkChanged);
    network?.removeEventListener("offline", this.#networkChanged);
    this.#move("stop", { end, retryAt: null, quiet: false });
    this.#handlers.lost(end);
  }

  /** From here on nothing that is late can reach us: no timer, no answer, no handler. */
  #letGo(code?: number, reason?: string): void {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#asking = null;
    const link = this.#link;
    this.#link = null;
    link?.close(code, reason);
  }

  #move(what: Happening, also: Partial<Status>): void {
    this.#show({ ...also, state: after(this.status.state, what) });
  }

  #show(changes: Partial<Status>): void {
    this.status = { ...this.status, ...changes };
    this.#handlers.changed();
  }
}

/** What an end means, for people. */
export function meaning({ code, reason }: End, language: "en" | "zh" = "en"): string {
  const known = CLOSE_CODES[code];
  const name = known ? (language === "zh" ? known.zh : known.meaning) : "";
  return [String(code), name, reason].filter(Boolean).join(" · ");
}

function now(): number {
  return performance.now();
}

function online(): boolean {
  return network?.navigator.onLine !== false;
}
