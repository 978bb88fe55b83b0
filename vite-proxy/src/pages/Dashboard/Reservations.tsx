/** Who comes when. The next guests are on top. */
import { useLanguage } from "../../language";
import { ACTIONS, type Reservation } from "../../server";
import type { Actions } from "./useActions";

const SHAPES: Readonly<Record<Reservation["status"], string>> = {
  requested: "○",
  confirmed: "●",
  seated: "✓",
  cancelled: "✕",
};
const SHOWN = 8;

interface Props {
  readonly reservations: readonly Reservation[];
  readonly loaded: boolean;
  readonly isAdmin: boolean;
  readonly actions: Actions;
}

export function Reservations({ reservations, loaded, isAdmin, actions }: Props) {
  const { text } = useLanguage();
  const coming = reservations.filter(isComing).sort((one, other) => one.at - other.at);
  return (
    <section className="panel" aria-labelledby="reservations" data-column="reservations">
      <div className="bar">
        <h2 id="reservations" tabIndex={-1}>
          {text.reservations}
        </h2>
        <span className="count">{loaded && coming.length}</span>
      </div>
      {loaded && coming.length === 0 && <p className="none">{text.noReservations}</p>}
      <ul className="reservations" aria-busy={!loaded}>
        {coming.slice(0, SHOWN).map((it) => (
          <Row key={it.id} it={it} isAdmin={isAdmin} actions={actions} />
        ))}
      </ul>
      {coming.length > SHOWN && <p className="none">{text.later(coming.length - SHOWN)}</p>}
    </section>
  );
}

interface RowProps {
  readonly it: Reservation;
  readonly isAdmin: boolean;
  readonly actions: Actions;
}

function Row({ it, isAdmin, actions }: RowProps) {
  const { text, language } = useLanguage();
  const busy = actions.isBusy(it);
  const when = new Date(it.at);
  const [day, time] = [
    when.toLocaleDateString(language, { weekday: "short" }),
    when.toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hour12: false }),
  ];
  const whose = `${it.name}, ${time}`; // the same guest may come twice
  return (
    <li data-key={it.id} data-status={it.status} aria-busy={busy}>
      <time dateTime={when.toISOString()}>
        <span className="soft">{day}</span> {time}
      </time>
      <span className="who">
        <strong>{it.name}</strong> <span className="soft">{text.party(it.guests)}</span>
      </span>
      <span className="chip">
        <span aria-hidden="true" className="shape">
          {SHAPES[it.status]}
        </span>{" "}
        {text.reservationStates[it.status]}
      </span>
      <span className="buttons">
        {it.status === "requested" && (
          <button
            type="button"
            data-act="confirm"
            aria-disabled={busy}
            aria-label={text.forOrder(text.confirm, whose)}
            onClick={() => {
              actions.act(ACTIONS.confirm, it);
            }}
          >
            {text.confirm}
          </button>
        )}
        {isAdmin && (
          <button
            type="button"
            className="quiet"
            data-act="cancel"
            aria-disabled={busy}
            aria-label={text.forOrder(text.cancel, whose)}
            onClick={() => {
              actions.act(ACTIONS.cancelReservation, it);
            }}
          >
            {text.cancel}
          </button>
        )}
      </span>
    </li>
  );
}

export function isComing({ status }: Reservation): boolean {
  return status === "requested" || status === "confirmed";
}
