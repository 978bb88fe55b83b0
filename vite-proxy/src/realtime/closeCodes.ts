/**
 * Close codes: what the end of a connection says about coming back.
 *
 * The table is the one of chapter 4, byte for byte; a test holds the two together.
 */
import table from "./close-codes.json";

interface CloseCode {
  readonly meaning: string;
  readonly zh: string;
  readonly again: boolean;
}

export const CLOSE_CODES: Readonly<Record<string, CloseCode>> = table;

export const DONE = 1000;
export const GOING_AWAY = 1001;
/** The connection ended without a close frame, or was never made. It never travels. */
export const LOST = 1006;
export const POLICY = 1008;
export const TOO_BIG = 1009;
export const UNAUTHORIZED = 4401;
export const FORBIDDEN = 4403;

/** Whether to come back after this code. One that is not in the table: yes. */
export function comesBack(code: number): boolean {
  return CLOSE_CODES[code]?.again ?? true;
}

/** Milliseconds to wait at least, before any jitter: what these codes ask for. */
const PAUSES: Readonly<Record<number, number>> = { 1013: 5_000, 4429: 5_000 };

export function pauseAfter(code: number): number {
  return PAUSES[code] ?? 0;
}
