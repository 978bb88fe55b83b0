/**
 * What somebody has to know now: at the foot of the window, so that nothing on the board moves.
 * Each is a live region that is there before it says anything.
 */
import { useEffect, useState } from "react";

import type { Realtime } from "../../hooks/useRealtime";
import { useLanguage } from "../../language";
import type { Actions } from "./useActions";
import { useStats } from "./Telemetry";

const SOON_MS = 700; // a connection that is back by then was never away

interface Props {
  readonly realtime: Realtime;
  readonly actions: Actions;
  readonly onLeave: () => void;
}

export function Notices({ realtime, actions, onLeave }: Props) {
  const { text } = useLanguage();
  const { failure, done, dismiss } = actions;
  const { state, end } = realtime.status;
  const statuses: Readonly<Record<string, string>> = {
    ...text.reservationStates,
    ...text.statuses,
  };
  return (
    <div className="notices">
      <div role="status">
        {end && (state === "waiting" || state === "connecting") && <Away stats={realtime.stats} />}
      </div>
      <div role="alert">
        {failure && (
          <p className="notice problem">
            <span>{failure.unknown ? text.unknown(failure.why) : text.failed(failure.why)}</span>
            <button type="button" onClick={dismiss}>
              {text.dismiss}
            </button>
          </p>
        )}
        {state === "stopped" && (
          <p className="notice problem">
            <span>{text.ended}</span>
            <button type="button" className="main" onClick={onLeave}>
              {text.again}
            </button>
          </p>
        )}
      </div>
      <p role="status" className="unseen">
        {done && text.done(done.id, statuses[done.status] ?? done.status)}
      </p>
    </div>
  );
}

/** The connection is gone; how old the board is, and what waits to be sent. */
function Away({ stats }: { readonly stats: Realtime["stats"] }) {
  const { text, language } = useLanguage();
  const { waiting } = useStats(stats);
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
    <p className="notice">
      <span>
        <strong>{text.away(since.toLocaleTimeString(language))}</strong> {text.kept}
      </span>
      {waiting > 0 && <span className="chip">{text.waitingToBeSent(waiting)}</span>}
    </p>
  );
}
