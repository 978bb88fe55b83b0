/**
 * The heartbeat: is somebody still there?
 *
 * A cable that is pulled says nothing, and a browser cannot send control pings. So whoever hears
 * nothing asks, twice; after 2.5 intervals of silence the connection counts as dead. It looks at the
 * clock and never counts calls: a hidden tab gets its timers late.
 */
const PATIENCE = 2.5; // intervals
const QUESTIONS = 2; // before anybody is declared dead

export type Verdict =
  { readonly what: "ask" | "dead" } | { readonly what: "wait"; readonly ms: number };

export class Heartbeat {
  interval: number;
  /** Questions since something was heard. */
  asked = 0;
  #lastHeard: number;
  #lastAsked: number;

  /** Times are milliseconds on one clock, `interval` too. */
  constructor(interval: number, now: number) {
    this.interval = interval;
    this.#lastHeard = this.#lastAsked = now;
  }

  /** Anything that arrives is a sign of life. */
  heard(now: number): void {
    this.#lastHeard = now;
    this.asked = 0;
  }

  silence(now: number): number {
    return now - this.#lastHeard;
  }

  /** What to do now. After "ask" a question has to be sent. */
  look(now: number): Verdict {
    const left = this.#due() - now;
    if (left > 0) return { what: "wait", ms: left };
    if (this.asked >= QUESTIONS) return { what: "dead" };
    this.asked += 1;
    this.#lastAsked = now;
    return { what: "ask" };
  }

  #due(): number {
    if (this.asked < QUESTIONS) return this.#lastHeard + (this.asked + 1) * this.interval;
    // After a sleep both questions may have gone out just now: an answer needs time to come.
    const soonest = this.#lastAsked + this.interval / 4;
    return Math.max(this.#lastHeard + PATIENCE * this.interval, soonest);
  }
}
