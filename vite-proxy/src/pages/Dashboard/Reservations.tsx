import { useLanguage } from "../../language";
import { type Reservation, RESERVATIONS } from "../../server";

interface Props {
  readonly reservations: readonly Reservation[];
  readonly isAdmin: boolean;
  readonly onAdvance: (reservation: Reservation) => void;
  readonly onCancel: (channel: string, id: string) => void;
}

export function Reservations({ reservations, isAdmin, onAdvance, onCancel }: Props) {
  const { text } = useLanguage();
  const coming = reservations
    .filter(({ status }) => status === "asked" || status === "confirmed")
    .sort((one, other) => one.time.localeCompare(other.time));
  if (coming.length === 0) return <p className="soft small">{text.noReservations}</p>;
  return (
    <ul className="reservations">
      {coming.map((it) => {
        const status = it.status === "asked" ? "asked" : "confirmed";
        return (
          <li key={it.id} data-status={status}>
            <span className="when">{it.time}</span>
            <span className="who">
              <strong>{it.name}</strong>{" "}
              <span className="soft">
                {text.party(it.guests)} · {text.reservationStates[status]}
              </span>
            </span>
            <span className="buttons">
              <button
                type="button"
                onClick={() => {
                  onAdvance(it);
                }}
              >
                {text.reservationSteps[status]}
              </button>
              {isAdmin && (
                <button
                  type="button"
                  className="quiet"
                  aria-label={`${text.cancel}: ${it.name}`}
                  onClick={() => {
                    onCancel(RESERVATIONS, it.id);
                  }}
                >
                  ✕
                </button>
              )}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
