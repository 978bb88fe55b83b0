/** Settings: every time and limit of a connection, by name. Times are milliseconds. */
export interface Settings {
  /** The ceiling of the first wait; it doubles with each try. */
  readonly base: number;
  /** The highest ceiling. */
  readonly cap: number;
  /** How long a connection has to hold before the waits begin anew. */
  readonly stable: number;
  /** For the address (a ticket, say) and the handshake together. */
  readonly connectTimeout: number;
  /** Between two signs of life, until the server's welcome names an interval of its own. */
  readonly heartbeat: number;
  /** For the reply to a request on an open connection. */
  readonly replyTimeout: number;
  /** Requests that wait for a connection or for their reply. */
  readonly outboxLimit: number;
  /** Events of a channel that wait for its snapshot. */
  readonly heldLimit: number;
}

export const DEFAULTS: Settings = {
  base: 1_000,
  cap: 30_000,
  stable: 5_000,
  connectTimeout: 10_000,
  heartbeat: 20_000,
  replyTimeout: 10_000,
  outboxLimit: 100,
  heldLimit: 1_000,
};
