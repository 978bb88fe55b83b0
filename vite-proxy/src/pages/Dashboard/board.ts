/**
 * The board: what has been heard, as one value to draw.
 *
 * It lives outside React. Events are merged and drawn at most every FLUSH_MS, however many come; the
 * newest state of an order is all that is kept of it.
 */
import { Batch } from "../../realtime/batch";
import { Emitter } from "../../realtime/emitter";
import type { Happened } from "../../realtime/stream";
import {
  type Order,
  ORDERS,
  readOrder,
  readReservation,
  readSample,
  type Reservation,
  RESERVATIONS,
  type Sample,
  TELEMETRY,
} from "../../server";

export const FLUSH_MS = 250;
const KEPT = 1_000; // of each kind, as many as the server keeps
export const SAMPLES = 120; // of the telemetry, as far as the lines go back

export interface View {
  readonly orders: readonly Order[];
  readonly reservations: readonly Reservation[];
  /** Channels whose state has come: before that there is nothing to show, which is not "nothing". */
  readonly loaded: ReadonlySet<string>;
  /** Drawings so far: far fewer than events. */
  readonly drawn: number;
}

interface Heard {
  readonly channel: string;
  readonly happened: Happened;
}

const EMPTY: View = {
  orders: [],
  reservations: [],
  loaded: new Set(),
  drawn: 0,
};

export class Board {
  #view = EMPTY;
  #orders = new Map<string, Order>();
  #reservations = new Map<string, Reservation>();
  #samples: readonly Sample[] = [];
  #changes = new Emitter<[]>();
  #sampled = new Emitter<[]>();
  #batch: Batch<Heard>;

  constructor(flushMs = FLUSH_MS) {
    this.#batch = new Batch(flushMs, (items) => {
      this.#merge(items);
    });
  }

  getView = (): View => this.#view;
  onView = (listener: () => void): (() => void) => this.#changes.on(listener);

  // Apart from the rest: they come all the time, and change nothing on the board.
  getSamples = (): readonly Sample[] => this.#samples;
  onSamples = (listener: () => void): (() => void) => this.#sampled.on(listener);

  hear(channel: string, happened: Happened): void {
    this.#batch.add({ channel, happened });
  }

  /** Draw now what waits. */
  flush(): void {
    this.#batch.flush();
  }

  #merge(items: readonly Heard[]): void {
    const board = items.filter(({ channel }) => channel !== TELEMETRY);
    if (board.length > 0) this.#draw(board);
    const samples = items.map(({ channel, happened }) =>
      channel === TELEMETRY && happened.kind === "event" ? readSample(happened.data) : null,
    );
    const more = samples.filter((sample) => sample !== null);
    if (more.length === 0) return;
    this.#samples = [...this.#samples, ...more].slice(-SAMPLES);
    this.#sampled.emit();
  }

  // --8<-- [start:draw]
  #draw(items: readonly Heard[]): void {
    const loaded = new Set(this.#view.loaded);
    for (const { channel, happened } of items) {
      if (happened.kind === "snapshot") {
        loaded.add(channel);
        this.#clear(channel);
        for (const value of Object.values(happened.state)) this.#put(channel, value);
      } else if (happened.kind === "event") {
        this.#put(channel, happened.data);
      }
    }
    trim(this.#orders);
    trim(this.#reservations);
    this.#view = {
      orders: [...this.#orders.values()],
      reservations: [...this.#reservations.values()],
      loaded,
      drawn: this.#view.drawn + 1,
    };
    this.#changes.emit();
  }
  // --8<-- [end:draw]

  #clear(channel: string): void {
    if (channel === ORDERS) this.#orders.clear();
    if (channel === RESERVATIONS) this.#reservations.clear();
  }

  #put(channel: string, data: unknown): void {
    const order = channel === ORDERS ? readOrder(data) : null;
    if (order) this.#orders.set(order.id, order);
    const reservation = channel === RESERVATIONS ? readReservation(data) : null;
    if (reservation) this.#reservations.set(reservation.id, reservation);
  }
}

/** Forget the oldest of those that are over, then the oldest. */
function trim(map: Map<string, { readonly status: string }>): void {
  const over = [...map].filter(([, { status }]) => OVER.has(status));
  for (const [id] of [...over, ...map]) {
    if (map.size <= KEPT) return;
    map.delete(id);
  }
}

const OVER = new Set(["served", "seated", "cancelled"]);
