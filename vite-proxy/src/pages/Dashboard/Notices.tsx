/**
 * What somebody has to know now: at the foot of the window, so that nothing on the board moves.
 * Each is a live region that is there before it says anything.
 */
import { useEffect, useState } from "react";

import type { Realtime } from "../../hooks/useRealtime";
import { useLanguage } from "../../language";
import { meaning } from "../../realtime/connection";
import type { Actions } from "./useActions";
import { useStats } from "./Telemetry";

const SOON_MS = 700; // a connection that is back by then was never away

interface Props {
  readonly realtime: Realtime;
  readonly actions: Actions;
  readonly onLeave: () => void;
}

export function Notices({ realtime, actions, onLeave }: Props) {
  const { text, language } = useLanguage();
  const { failure, done, dismiss } = actions;
  const { state, end } = realtime.status;
  const why = failure === null ? "" : (text.reasons[failure.code] ?? failure.why);
  const statuses: Readonly<Record<string, string>> = {
    ...text.reservationStates,
    ...text.statuses,
  };
  return (
    <div className="notices">
      <div role="status">
        {end && (state === "waiting" || state === "connecting") && <Away realtime={realtime} />}
      </div>
      <div role="alert">
        {failure && (
          <p className="notice problem">
            <span>{(failure.unknown ? text.unknown : text.failed)(why)}</span>
            <button type="button" onClick={dismiss}>
              {text.dismiss}
            </button>
          </p>
        )}
        {state === "stopped" && (
          <p className="notice problem">
            <span>
              <strong>{text.ended}</strong> {end && meaning(end, language)}
            </span>
            <button type="button" className="main" onClick={onLeave}>
              {text.again}
            </button>
          </p>
        )}
      </div>
      <p role="status" className="unseen">
        {done && text.done(done.name, statuses[done.status] ?? done.status)}
      </p>
    </div>
  );
}

/** The connection is gone: since when, why, and what waits to be sent. */
function Away({ realtime }: { readonly realtime: Realtime }) {
  const { text, language } = useLanguage();
  const { waiting } = useStats(realtime.stats);
  const { state, attempt, end } = realtime.status;
  const [since] = useState(() => new Date());
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => {
      setShown(true);
    }, SOON_MS);
    return () => {
      clearTimeout(timer);
    };
  }, []);
  if (!shown) return null;
  return (
    <div className="notice">
      <div>
        <p>
          <strong>{text.away(since.toLocaleTimeString(language, { hour12: false }))}</strong>{" "}
          {text.kept}
        </p>
        <p className="soft small" aria-hidden="true">
          {text.attempt(attempt)} · {end && meaning(end, language)}
        </p>
      </div>
      {waiting > 0 && <span className="chip">{text.waitingToBeSent(waiting)}</span>}
      <button type="button" aria-disabled={state === "connecting"} onClick={realtime.retryNow}>
        {text.now}
      </button>
    </div>
  );
}
