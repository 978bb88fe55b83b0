/**
 * The board: what has been heard, as one value to draw.
 *
 * It lives outside React. Events are merged and drawn at most every FLUSH_MS, however many come; the
 * newest state of an order is all that is kept of it, and of those that are over only a few.
 */
import { Batch } from "../../realtime/batch";
import { Emitter } from "../../realtime/emitter";
import { isObject } from "../../realtime/envelope";
import type { Happened } from "../../realtime/stream";
import {
  EVENTS,
  ORDERS,
  type Order,
  readOrder,
  readReservation,
  type Reservation,
} from "../../server";

export const FLUSH_MS = 200;
const KEPT = 300; // of each kind

export interface View {
  readonly orders: readonly Order[];
  readonly reservations: readonly Reservation[];
  readonly notice: string;
  /** Something may be missing since the connection was gone. */
  readonly gap: boolean;
}

interface Heard {
  readonly channel: string;
  readonly happened: Happened;
}

const EMPTY: View = { orders: [], reservations: [], notice: "", gap: false };

export class Board {
  #view = EMPTY;
  #orders = new Map<string, Order>();
  #reservations = new Map<string, Reservation>();
  #changes = new Emitter<[]>();
  #batch = new Batch<Heard>(FLUSH_MS, (items) => {
    this.#merge(items);
  });

  getView = (): View => this.#view;
  onView = (listener: () => void): (() => void) => this.#changes.on(listener);

  hear(channel: string, happened: Happened): void {
    this.#batch.add({ channel, happened });
  }

  dismissGap(): void {
    this.#show({ gap: false });
  }

  /** Nothing is drawn any more; what is known stays. */
  rest(): void {
    this.#batch.flush();
  }

  #merge(items: readonly Heard[]): void {
    let { notice, gap } = this.#view;
    for (const { channel, happened } of items) {
      if (happened.kind === "gap") gap = true;
      else if (happened.kind === "snapshot") {
        (channel === ORDERS ? this.#orders : this.#reservations).clear();
        for (const value of Object.values(happened.state)) this.#put(value);
      } else if (happened.kind === "event") {
        if (happened.type === EVENTS.notice) notice = readText(happened.data);
        else if (happened.type === EVENTS.cancel) this.#cancel(readText(happened.data));
        else this.#put(happened.data);
      }
    }
    trim(this.#orders);
    trim(this.#reservations);
    const [orders, reservations] = [[...this.#orders.values()], [...this.#reservations.values()]];
    this.#show({ orders, reservations, notice, gap });
  }

  #put(data: unknown): void {
    const order = readOrder(data);
    if (order) this.#orders.set(order.id, order);
    const reservation = order ? null : readReservation(data);
    if (reservation) this.#reservations.set(reservation.id, reservation);
  }

  #cancel(id: string): void {
    const order = this.#orders.get(id);
    if (order) this.#orders.set(id, { ...order, status: "cancelled" });
    const reservation = this.#reservations.get(id);
    if (reservation) this.#reservations.set(id, { ...reservation, status: "cancelled" });
  }

  #show(changes: Partial<View>): void {
    this.#view = { ...this.#view, ...changes };
    this.#changes.emit();
  }
}

/** The text of a notice, or the id of what is cancelled. */
function readText(data: unknown): string {
  const text = isObject(data) ? data["text"] : undefined;
  return typeof text === "string" ? text.slice(0, 200) : "";
}

/** Forget the oldest. */
function trim(map: Map<string, unknown>): void {
  for (const id of map.keys()) {
    if (map.size <= KEPT) return;
    map.delete(id);
  }
}
