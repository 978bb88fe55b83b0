/** The connection's state as a word and a shape, never a colour alone; and when it tries again. */
import { useLanguage } from "../../language";
import type { Status } from "../../realtime/connection";
import { useNow } from "../../useNow";

const SHAPES = { idle: "○", connecting: "◌", open: "●", waiting: "◔", stopped: "■" } as const;
const LOOK_MS = 250;

export function ConnectionBadge({ status }: { readonly status: Status }) {
  const { text } = useLanguage();
  const { state, quiet } = status;
  return (
    <div className="badge" data-state={state} data-quiet={quiet}>
      <span role="status" aria-label={text.connection}>
        <span className="shape" aria-hidden="true">
          {quiet ? "◍" : SHAPES[state]}
        </span>{" "}
        {quiet ? text.quiet : text.states[state]}
      </span>
      {state === "waiting" && <Countdown retryAt={status.retryAt} />}
    </div>
  );
}

/** Seconds until the next try. Not announced: a screen reader would read it each second. */
function Countdown({ retryAt }: { readonly retryAt: number | null }) {
  const { text } = useLanguage();
  const now = useNow(LOOK_MS);
  if (retryAt === null) return <span>{text.offline}</span>;
  const seconds = Math.max(0, Math.ceil((retryAt - now) / 1000));
  return (
    <span className="countdown" aria-hidden="true">
      {text.backIn(seconds)}
    </span>
  );
}
