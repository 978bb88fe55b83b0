/** What a visitor can do. Each is a request; the board changes when the event comes back. */
import type { Realtime } from "../../hooks/useRealtime";
import {
  EVENTS,
  type Order,
  ORDER_STEPS,
  ORDERS,
  type Reservation,
  RESERVATION_STEPS,
  RESERVATIONS,
} from "../../server";

const NAMES = ["Lin", "Osei", "Rossi", "王", "Haddad", "陈", "Novak", "Silva", "Kim", "Okafor"];

type Publish = Realtime["publish"];

export function newOrder(publish: Publish, dishes: number): Promise<unknown> {
  const count = 1 + below(3);
  const order: Order = {
    id: id(),
    table: 1 + below(24),
    dishes: Array.from({ length: count }, () => below(dishes)),
    status: "new",
    at: Date.now(),
  };
  return publish(ORDERS, EVENTS.order, order);
}

export function newReservation(publish: Publish): Promise<unknown> {
  const reservation: Reservation = {
    id: id(),
    name: NAMES[below(NAMES.length)] ?? "",
    guests: 1 + below(8),
    time: `${String(18 + below(4))}:${below(2) === 0 ? "00" : "30"}`,
    status: "asked",
    at: Date.now(),
  };
  return publish(RESERVATIONS, EVENTS.reservation, reservation);
}

export function advanceOrder(publish: Publish, order: Order): Promise<unknown> {
  return publish(ORDERS, EVENTS.order, { ...order, status: next(ORDER_STEPS, order.status) });
}

export function advanceReservation(publish: Publish, it: Reservation): Promise<unknown> {
  const status = next(RESERVATION_STEPS, it.status);
  return publish(RESERVATIONS, EVENTS.reservation, { ...it, status });
}

export function cancel(publish: Publish, channel: string, id: string): Promise<unknown> {
  return publish(channel, EVENTS.cancel, { text: id });
}

export function say(publish: Publish, text: string): Promise<unknown> {
  return publish(ORDERS, EVENTS.notice, { text });
}

function next(steps: readonly string[], status: string): string {
  return steps[Math.min(steps.indexOf(status) + 1, steps.length - 1)] ?? status;
}

function below(limit: number): number {
  return Math.floor(Math.random() * limit);
}

/** Not crypto.randomUUID: a page over plain http from another machine does not have it. */
function id(): string {
  return Date.now().toString(36) + Math.random().toString(36).slice(2, 8);
}
