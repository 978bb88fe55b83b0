/**
 * All that the board needs from a server, in one place: channels, events, and what they carry.
 *
 * Today that is chapter 8's server, which knows logins, tickets and channels, and keeps nothing: it
 * numbers no events and has no snapshot. A server that does needs the two switches below, no more.
 */
import { isObject } from "./realtime/envelope";
import type { Snapshot } from "./realtime/stream";

export const ORDERS = "board:orders";
export const RESERVATIONS = "board:reservations";
export const CHANNELS = [ORDERS, RESERVATIONS] as const;

export const EVENTS = {
  order: "order:update",
  reservation: "reservation:update",
  /** Those with `admin:` the server takes from the role admin only. */
  cancel: "admin:cancel",
  notice: "admin:notice",
} as const;

/** The server knows a request that comes twice. */
export const KNOWS_REPEATS = false;
/** Reads the state of a channel. */
export const READ_SNAPSHOT: ((channel: string, signal: AbortSignal) => Promise<Snapshot>) | null =
  null;

export const WS_URL: string = import.meta.env.VITE_WS_URL ?? "/ws";
/** REST is where the WebSocket is; "" is the page's own server. */
export const API_BASE: string = /^wss?:/.test(WS_URL)
  ? new URL(WS_URL).origin.replace(/^ws/, "http")
  : "";

export const ORDER_STEPS = ["new", "cooking", "ready", "served"] as const;
export const RESERVATION_STEPS = ["asked", "confirmed", "seated"] as const;
export type OrderStatus = (typeof ORDER_STEPS)[number] | "cancelled";
export type ReservationStatus = (typeof RESERVATION_STEPS)[number] | "cancelled";

export interface Order {
  readonly id: string;
  readonly table: number;
  /** Indices into the menu: names are the page's business, in its language. */
  readonly dishes: readonly number[];
  readonly status: OrderStatus;
  /** Milliseconds since 1970, of the making. */
  readonly at: number;
}

export interface Reservation {
  readonly id: string;
  readonly name: string;
  readonly guests: number;
  /** "19:30" */
  readonly time: string;
  readonly status: ReservationStatus;
  readonly at: number;
}

/** The order in `data`, or null: what comes over a wire is not what its type says. */
export function readOrder(data: unknown): Order | null {
  if (!isObject(data)) return null;
  const { id, table, dishes, status, at } = data;
  if (typeof id !== "string" || typeof table !== "number" || typeof at !== "number") return null;
  if (!Array.isArray(dishes) || dishes.length > 20) return null;
  if (!dishes.every((dish): dish is number => Number.isInteger(dish))) return null;
  const known: readonly unknown[] = [...ORDER_STEPS, "cancelled"];
  if (!known.includes(status)) return null;
  return { id, table, dishes, status: status as OrderStatus, at };
}

export function readReservation(data: unknown): Reservation | null {
  if (!isObject(data)) return null;
  const { id, name, guests, time, status, at } = data;
  if (typeof id !== "string" || typeof name !== "string" || typeof time !== "string") return null;
  if (typeof guests !== "number" || typeof at !== "number") return null;
  const known: readonly unknown[] = [...RESERVATION_STEPS, "cancelled"];
  if (!known.includes(status)) return null;
  return { id, name, guests, time, status: status as ReservationStatus, at };
}
