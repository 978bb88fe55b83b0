/**
 * What a visitor asks for. Each is a request with an id of its own, kept in the outbox until its
 * reply; the board itself changes only when the event comes back, as it does for everybody else.
 */
import { useCallback, useState } from "react";

import type { Realtime } from "../../hooks/useRealtime";
import { isObject } from "../../realtime/envelope";
import { RequestFailed } from "../../realtime/outbox";
import type { Action } from "../../server";

export interface Failure {
  /** The error code of the contract, or what became of the request: a key of `text.reasons`. */
  readonly code: string;
  /** For what has no word there. */
  readonly why: string;
  /** The request was sent, and nobody knows whether it took effect. */
  readonly unknown: boolean;
}

interface Actable {
  readonly id: string;
  readonly status: string;
  /** Who it is for: an order has a customer, a reservation a name. */
  readonly customer?: string;
  readonly name?: string;
}

export interface Actions {
  readonly failure: Failure | null;
  /** The status that the last success led to, and whose: to be told to who cannot see it. */
  readonly done: { readonly name: string; readonly status: string } | null;
  readonly dismiss: () => void;
  /** Asked for, and not seen on the board yet. */
  readonly isBusy: (it: Actable) => boolean;
  readonly act: (action: Action, it: Actable) => void;
  readonly ask: (action: Action, data: unknown, name: string) => Promise<boolean>;
}

export function useActions(send: Realtime["send"]): Actions {
  const [failure, setFailure] = useState<Failure | null>(null);
  const [done, setDone] = useState<Actions["done"]>(null);
  // id → the status that it had when we asked. As long as it has it, we wait: a second press in the
  // moment between the reply and the next drawing would otherwise advance it twice.
  const [asked, setAsked] = useState<ReadonlyMap<string, string>>(new Map());

  const ask = useCallback(
    async (action: Action, data: unknown, name: string): Promise<boolean> => {
      try {
        const reply = await send(action, data);
        setFailure(null);
        const status = isObject(reply) ? reply["status"] : undefined;
        setDone(typeof status === "string" ? { name, status } : null);
        return true;
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        const failed = error instanceof RequestFailed ? error : null;
        const code = (failed?.code ?? "") || (failed?.why ?? "");
        setFailure({ code, why, unknown: ["lost", "timeout"].includes(failed?.why ?? "") });
        return false;
      }
    },
    [send],
  );

  const act = (action: Action, { id, status, customer, name }: Actable): void => {
    if (asked.get(id) === status) return;
    setAsked((before) => new Map([...before].slice(-50)).set(id, status));
    void ask(action, { id }, customer ?? name ?? id).then((wasDone) => {
      if (wasDone) return;
      setAsked((before) => new Map([...before].filter(([one]) => one !== id)));
    });
  };

  return {
    failure,
    done,
    dismiss: () => {
      setFailure(null);
    },
    isBusy: ({ id, status }) => asked.get(id) === status,
    act,
    ask,
  };
}
