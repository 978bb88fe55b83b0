/** Backoff with full jitter: a random part of a ceiling that doubles, so that no crowd returns in step. */
import type { Settings } from "./settings";

/** Milliseconds to wait after `attempt` tries that failed in a row. */
export function delay(
  attempt: number,
  { base, cap }: Pick<Settings, "base" | "cap">,
  random: () => number,
): number {
  return random() * Math.min(cap, base * 2 ** attempt);
}
