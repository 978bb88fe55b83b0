/** States: the life of a connection as one table. Nothing else may change a state. */
export type State = "idle" | "connecting" | "open" | "waiting" | "stopped";
export type Happening = "try" | "opened" | "lost" | "stop";

// --8<-- [start:states]
/** State → what can happen in it → the state after that. */
export const STATES: Readonly<Record<State, Partial<Record<Happening, State>>>> = {
  idle: { try: "connecting" },
  connecting: { opened: "open", lost: "waiting", stop: "stopped" },
  open: { lost: "waiting", stop: "stopped" },
  waiting: { try: "connecting", stop: "stopped" },
  stopped: { try: "connecting" },
};
// --8<-- [end:states]

/** The state after `what`. Throws where it cannot happen: that is a mistake of ours. */
export function after(state: State, what: Happening): State {
  const next = STATES[state][what];
  if (next === undefined) throw new Error(`"${what}" cannot happen while ${state}`);
  return next;
}
