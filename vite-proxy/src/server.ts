/**
 * All that the board needs from a server, in one place: addresses, channels, events, what they
 * carry, and what may be asked. The server is chapter 14's; another one that says the same will do.
 */
import { isObject } from "./realtime/envelope";
import type { Pass } from "./realtime/pass";
import type { Snapshot } from "./realtime/stream";

export const WS_URL: string = import.meta.env.VITE_WS_URL ?? "/ws";
/** REST and Socket.IO are where the WebSocket is; "" is the page's own server. */
export const API_BASE: string = /^wss?:/.test(WS_URL)
  ? new URL(WS_URL).origin.replace(/^ws/, "http")
  : "";

export const ORDERS = "board:orders";
export const RESERVATIONS = "board:reservations";
export const TELEMETRY = "board:telemetry";
/** These have a state, to be read as a snapshot; telemetry is gone when it was shown. */
export const STATE_CHANNELS: readonly string[] = [ORDERS, RESERVATIONS];

export const ACTIONS = {
  create: "order:create",
  advance: "order:advance",
  cancel: "order:cancel", // for the role admin
  confirm: "reservation:confirm",
  cancelReservation: "reservation:cancel", // for the role admin
} as const;
export type Action = (typeof ACTIONS)[keyof typeof ACTIONS];

export const ORDER_STEPS = ["new", "preparing", "ready", "served"] as const;
export type OrderStatus = (typeof ORDER_STEPS)[number] | "cancelled";
export const RESERVATION_STEPS = ["requested", "confirmed", "seated"] as const;
export type ReservationStatus = (typeof RESERVATION_STEPS)[number] | "cancelled";

/** What somebody may eat: `name` is what the server knows, `price` is in hundredths. */
export interface Dish {
  readonly name: string;
  readonly count: number;
}

export interface Order {
  readonly id: string;
  readonly customer: string;
  readonly items: readonly Dish[];
  /** In hundredths. */
  readonly total: number;
  readonly status: OrderStatus;
  readonly table: string;
  /** Milliseconds since 1970, by the server's clock. */
  readonly updatedAt: number;
}

export interface Reservation {
  readonly id: string;
  readonly name: string;
  readonly guests: number;
  /** For when: milliseconds since 1970. */
  readonly at: number;
  readonly status: ReservationStatus;
  readonly updatedAt: number;
}

export const METRICS = [
  "connections",
  "messagesPerSecond",
  "roundTripMs",
  "queued",
  "dropped",
  "reconnects",
] as const;
export type Metric = (typeof METRICS)[number];
export type Sample = Readonly<Record<Metric, number>>;

/** Reads the state of a channel, with the pass of whoever looks. */
export function snapshotReader(pass: Pass) {
  return async (channel: string, signal: AbortSignal): Promise<Snapshot> => {
    const said = await pass.get(`/api/channels/${channel}/snapshot`, signal);
    const { epoch, seq, state } = said;
    if (typeof epoch === "string" && typeof seq === "number" && isObject(state)) {
      return { epoch, seq, state };
    }
    throw new Error(`no snapshot of ${channel}: the answer is none`);
  };
}

/** The order in `data`, or null: what comes over a wire is not what its type says. */
export function readOrder(data: unknown): Order | null {
  if (!isObject(data)) return null;
  const { id, customer, items, total, status, table, updatedAt } = data;
  if (typeof id !== "string" || typeof customer !== "string" || !isNumber(total)) return null;
  if (!Array.isArray(items) || !isOrderStatus(status)) return null;
  return {
    id,
    customer,
    items: readItems(items),
    total,
    status,
    table: typeof table === "string" || isNumber(table) ? String(table) : "",
    updatedAt: isNumber(updatedAt) ? updatedAt : 0,
  };
}

export function readReservation(data: unknown): Reservation | null {
  if (!isObject(data)) return null;
  const { id, name, guests, at, status, updatedAt } = data;
  if (typeof id !== "string" || typeof name !== "string" || !isNumber(guests)) return null;
  if (!isNumber(at) || !isReservationStatus(status)) return null;
  return { id, name, guests, at, status, updatedAt: isNumber(updatedAt) ? updatedAt : 0 };
}

export function readSample(data: unknown): Sample | null {
  if (!isObject(data)) return null;
  const read = (name: Metric) => {
    const value = data[name];
    return isNumber(value) ? value : 0;
  };
  return Object.fromEntries(METRICS.map((name) => [name, read(name)])) as Sample;
}

/** Names, or names with a count; the same name twice is two of it. */
function readItems(items: readonly unknown[]): readonly Dish[] {
  const counts = new Map<string, number>();
  for (const item of items.slice(0, 50)) {
    const { name, count } = isObject(item) ? item : { name: item, count: 1 };
    if (typeof name !== "string") continue;
    counts.set(name, (counts.get(name) ?? 0) + (isNumber(count) ? count : 1));
  }
  return [...counts].map(([name, count]) => ({ name, count }));
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isOrderStatus(value: unknown): value is OrderStatus {
  return value === "cancelled" || (ORDER_STEPS as readonly unknown[]).includes(value);
}

function isReservationStatus(value: unknown): value is ReservationStatus {
  return value === "cancelled" || (RESERVATION_STEPS as readonly unknown[]).includes(value);
}
