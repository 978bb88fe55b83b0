import { useLanguage } from "../../language";
import { type Order, ORDERS } from "../../server";

const COLUMNS = ["new", "cooking", "ready"] as const;

interface Props {
  readonly orders: readonly Order[];
  readonly isAdmin: boolean;
  readonly onAdvance: (order: Order) => void;
  readonly onCancel: (channel: string, id: string) => void;
}

export function Orders({ orders, isAdmin, onAdvance, onCancel }: Props) {
  const { text } = useLanguage();
  return (
    <div className="columns">
      {COLUMNS.map((status) => {
        const here = orders.filter((order) => order.status === status);
        return (
          <section key={status} className="column" data-status={status}>
            <h3>
              {text.steps[status]} <span className="count">{here.length}</span>
            </h3>
            {here.length === 0 && <p className="soft small">{text.nothing}</p>}
            <ul>
              {here.map((order) => (
                <li key={order.id} className="card">
                  <Ticket order={order} />
                  <p className="buttons">
                    <button
                      type="button"
                      onClick={() => {
                        onAdvance(order);
                      }}
                    >
                      {text.advance[status]}
                    </button>
                    {isAdmin && (
                      <button
                        type="button"
                        className="quiet"
                        onClick={() => {
                          onCancel(ORDERS, order.id);
                        }}
                      >
                        {text.cancel}
                      </button>
                    )}
                  </p>
                </li>
              ))}
            </ul>
          </section>
        );
      })}
    </div>
  );
}

function Ticket({ order }: { readonly order: Order }) {
  const { text, language } = useLanguage();
  const time = new Date(order.at).toLocaleTimeString(language, {
    hour: "2-digit",
    minute: "2-digit",
  });
  return (
    <>
      <p className="head">
        <strong>{text.table(order.table)}</strong>
        <time className="soft">{time}</time>
      </p>
      <p className="dishes">
        {order.dishes.map((dish) => text.menu[dish]?.[0] ?? "?").join(" · ")}
      </p>
    </>
  );
}

/** In hundredths. */
export function price(order: Order, menu: readonly (readonly [string, number])[]): number {
  return order.dishes.reduce((sum, dish) => sum + (menu[dish]?.[1] ?? 0), 0);
}
