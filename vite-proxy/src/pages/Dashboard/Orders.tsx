/** Orders by their step, the oldest first: whoever waits longest is on top. */
import { useState } from "react";

import { type Text } from "../../texts";
import { useLanguage } from "../../language";
import { dishName } from "../../menu";
import { ACTIONS, type Order } from "../../server";
import { useNow } from "../../useNow";
import type { Actions } from "./useActions";

const COLUMNS = ["new", "preparing", "ready", "done"] as const;
type Column = (typeof COLUMNS)[number];
const SHAPES: Readonly<Record<Order["status"], string>> = {
  new: "○",
  preparing: "◐",
  ready: "●",
  served: "✓",
  cancelled: "✕",
};
const DONE_SHOWN = 8;
const AGE_MS = 10_000; // between two looks at the clock
const MINUTE = 60_000;

interface Props {
  readonly orders: readonly Order[];
  readonly loaded: boolean;
  readonly isAdmin: boolean;
  readonly actions: Actions;
}

export function Orders({ orders, loaded, isAdmin, actions }: Props) {
  const { text } = useLanguage();
  const [shown, setShown] = useState<Column>("new"); // where there is room for one only
  const now = useNow(AGE_MS);
  const columns = inColumns(orders);
  return (
    <>
      <fieldset className="segments columns-switch">
        <legend className="unseen">{text.showing}</legend>
        {COLUMNS.map((column) => (
          <label key={column}>
            <input
              type="radio"
              name="column"
              checked={shown === column}
              onChange={() => {
                setShown(column);
              }}
            />
            <span>
              {text.columns[column]} {column !== "done" && columns[column].length}
            </span>
          </label>
        ))}
      </fieldset>
      <div className="columns" data-shown={shown} aria-busy={!loaded}>
        {COLUMNS.map((column) => {
          const here = columns[column];
          return (
            <section key={column} data-column={column} aria-labelledby={`column-${column}`}>
              <h3 id={`column-${column}`} tabIndex={-1}>
                <span aria-hidden="true" className="shape">
                  {SHAPES[column === "done" ? "served" : column]}
                </span>{" "}
                {text.columns[column]}{" "}
                {column !== "done" && <span className="count">{here.length}</span>}
              </h3>
              {!loaded && <Placeholders />}
              {loaded && here.length === 0 && column !== "done" && (
                <p className="none">{text.nothing[column]}</p>
              )}
              <ul>
                {here.map((order) =>
                  column === "done" ? (
                    <Done key={order.id} order={order} />
                  ) : (
                    <Card
                      key={order.id}
                      order={order}
                      age={age(text, now - order.updatedAt)}
                      isAdmin={isAdmin}
                      actions={actions}
                    />
                  ),
                )}
              </ul>
            </section>
          );
        })}
      </div>
      {!loaded && <p className="unseen">{text.loading}</p>}
    </>
  );
}

interface CardProps {
  readonly order: Order;
  readonly age: string;
  readonly isAdmin: boolean;
  readonly actions: Actions;
}

function Card({ order, age, isAdmin, actions }: CardProps) {
  const { text, language } = useLanguage();
  const money = useMoney();
  const { status, customer } = order;
  const place = order.table === "" ? text.takeAway : text.table(order.table);
  const whose = `${customer}, ${place}`; // two may have the same name
  const busy = actions.isBusy(order);
  const step = status === "new" || status === "preparing" || status === "ready" ? status : "ready";
  return (
    <li className="card" data-key={order.id} aria-busy={busy}>
      <p className="head">
        <strong>{customer}</strong>
        <span className="soft">{place}</span>
      </p>
      <ul className="dishes">
        {order.items.map(({ name, count }) => (
          <li key={name}>
            <span className="times">{count} ×</span> {dishName(name, language)}
          </li>
        ))}
      </ul>
      <p className="foot">
        <span>{money(order.total)}</span>
        <span className="soft">{age}</span>
      </p>
      <p className="buttons">
        <button
          type="button"
          className="step"
          data-act="advance"
          aria-disabled={busy}
          aria-label={text.forOrder(text.advance[step], whose)}
          onClick={() => {
            actions.act(ACTIONS.advance, order);
          }}
        >
          {text.advance[step]}{" "}
          <span aria-hidden="true">{busy ? "…" : step === "ready" ? "✓" : "→"}</span>
        </button>
        {isAdmin && (
          <button
            type="button"
            className="quiet"
            data-act="cancel"
            aria-disabled={busy}
            aria-label={text.forOrder(text.cancel, whose)}
            onClick={() => {
              actions.act(ACTIONS.cancel, order);
            }}
          >
            {text.cancel}
          </button>
        )}
      </p>
    </li>
  );
}

function Done({ order }: { readonly order: Order }) {
  const { text } = useLanguage();
  const money = useMoney();
  return (
    <li className="over" data-status={order.status}>
      <span aria-hidden="true" className="shape">
        {SHAPES[order.status]}
      </span>
      <span>
        {order.customer} <span className="soft">{text.statuses[order.status]}</span>
      </span>
      <span className="soft">{money(order.total)}</span>
    </li>
  );
}

/** Where cards will be, until the state has been read. */
function Placeholders() {
  return (
    <div aria-hidden="true">
      <div className="card placeholder" />
      <div className="card placeholder" />
    </div>
  );
}

function inColumns(orders: readonly Order[]): Record<Column, Order[]> {
  const columns: Record<Column, Order[]> = { new: [], preparing: [], ready: [], done: [] };
  for (const order of orders.toSorted((one, other) => one.updatedAt - other.updatedAt)) {
    const { status } = order;
    columns[status === "served" || status === "cancelled" ? "done" : status].push(order);
  }
  columns.done = columns.done.slice(-DONE_SHOWN).reverse();
  return columns;
}

export function age(text: Text, ms: number): string {
  const minutes = Math.floor(ms / MINUTE);
  if (minutes < 1) return text.justNow; // a clock of another machine may be ahead of ours
  return minutes < 60 ? text.minutes(minutes) : text.hours(Math.floor(minutes / 60));
}

/** Hundredths as money. */
export function useMoney(): (hundredths: number) => string {
  const { language } = useLanguage();
  const how = { style: "currency", currency: "CNY", currencyDisplay: "narrowSymbol" } as const;
  const format = new Intl.NumberFormat(language, how);
  return (hundredths) => format.format(hundredths / 100);
}
