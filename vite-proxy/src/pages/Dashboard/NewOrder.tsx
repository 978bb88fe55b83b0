/** A new order: a dialog of the browser's own, which keeps the focus and gives it back. */
import { useRef, useState, type SyntheticEvent } from "react";

import { useLanguage } from "../../language";
import { dishName, MENU } from "../../menu";
import type { Dish } from "../../server";
import { useMoney } from "./Orders";

export interface Draft {
  readonly customer: string;
  readonly items: readonly Dish[];
  readonly total: number;
  readonly table?: string;
}

const TABLES = 24;
const MOST = 9; // of one dish
const NONE: readonly number[] = MENU.map(() => 0);

export function NewOrder({ onPlace }: { readonly onPlace: (draft: Draft) => void }) {
  const { text, language } = useLanguage();
  const money = useMoney();
  const dialog = useRef<HTMLDialogElement>(null);
  const first = useRef<HTMLInputElement>(null);
  const [counts, setCounts] = useState(NONE);
  const total = MENU.reduce((sum, { price }, index) => sum + price * (counts[index] ?? 0), 0);

  const change = (index: number, by: number) => {
    setCounts((before) =>
      before.map((count, at) => (at === index ? Math.min(MOST, Math.max(0, count + by)) : count)),
    );
  };

  function submit(event: SyntheticEvent<HTMLFormElement>): void {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form);
    const [customer, table] = [fields.get("customer"), fields.get("table")];
    const all = MENU.map(({ name }, index) => ({ name, count: counts[index] ?? 0 }));
    onPlace({
      customer: typeof customer === "string" ? customer.trim() : "",
      items: all.filter(({ count }) => count > 0),
      total,
      ...(typeof table === "string" && table !== "" && { table }),
    });
    form.reset();
    setCounts(NONE);
    dialog.current?.close();
  }

  return (
    <>
      <button
        type="button"
        className="main"
        onClick={() => {
          dialog.current?.showModal();
          first.current?.focus(); // else it would be on ✕, which comes first
        }}
      >
        <span aria-hidden="true">+</span> {text.newOrder}
      </button>
      <dialog ref={dialog} aria-labelledby="new-order">
        <form onSubmit={submit}>
          <div className="bar">
            <h2 id="new-order">{text.newOrder}</h2>
            <button
              type="button"
              className="quiet"
              aria-label={text.close}
              onClick={() => {
                dialog.current?.close();
              }}
            >
              ✕
            </button>
          </div>
          <div className="fields">
            <label>
              {text.customer}
              <input
                ref={first}
                name="customer"
                required
                maxLength={60}
                pattern=".*\S.*"
                autoComplete="off"
              />
            </label>
            <label>
              {text.tableNumber}
              <select name="table">
                <option value="">{text.takeAway}</option>
                {Array.from({ length: TABLES }, (_, index) => (
                  <option key={index}>{index + 1}</option>
                ))}
              </select>
            </label>
          </div>
          <fieldset className="menu">
            <legend>{text.dishes}</legend>
            {MENU.map(({ name, price }, index) => {
              const dish = dishName(name, language);
              const count = counts[index] ?? 0;
              return (
                <div key={name} data-chosen={count > 0}>
                  <span>{dish}</span>
                  <span className="soft">{money(price)}</span>
                  <span className="stepper">
                    <button
                      type="button"
                      aria-label={text.less(dish)}
                      aria-disabled={count === 0}
                      onClick={() => {
                        change(index, -1);
                      }}
                    >
                      −
                    </button>
                    <output>{count}</output>
                    <button
                      type="button"
                      aria-label={text.more(dish)}
                      onClick={() => {
                        change(index, 1);
                      }}
                    >
                      +
                    </button>
                  </span>
                </div>
              );
            })}
          </fieldset>
          <div className="bar">
            <p>
              {text.total} <strong>{money(total)}</strong>
            </p>
            <button type="submit" className="main" disabled={total === 0}>
              {text.place}
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}
