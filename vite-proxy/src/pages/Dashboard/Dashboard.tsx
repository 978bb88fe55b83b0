/** The board: orders and reservations, live, and what the connection is doing. */
import { useState } from "react";

import { keepInAddress, useLanguage, useTitle } from "../../language";
import type { Pass } from "../../realtime/pass";
import { ACTIONS, type Order, ORDERS, type Reservation, RESERVATIONS } from "../../server";
import { useNow } from "../../useNow";
import { FocusKeeper } from "./FocusKeeper";
import { NewOrder } from "./NewOrder";
import { Notices } from "./Notices";
import "./board.css";
import { age, Orders, useMoney } from "./Orders";
import { isComing, Reservations } from "./Reservations";
import { Telemetry } from "./Telemetry";
import { TopBar } from "./TopBar";
import { useActions } from "./useActions";
import { type Transport, TRANSPORTS, useBoard } from "./useBoard";

interface Props {
  readonly pass: Pass;
  readonly onLeave: () => void;
}

export function Dashboard({ pass, onLeave }: Props) {
  const { text } = useLanguage();
  const [transport, setTransport] = useState(askedTransport);
  const { view, board, realtime } = useBoard(pass, transport);
  const actions = useActions(realtime.send);
  const isAdmin = pass.role === "admin";
  const { orders, reservations, loaded, drawn } = view;
  const fresh = orders.filter(({ status }) => status === "new").length;
  useTitle(fresh > 0 ? `(${String(fresh)}) ${text.title}` : text.title); // seen on a hidden tab
  const leave = () => {
    pass.logOut().catch(() => {}); // the server may be away; the token ends by itself
    onLeave();
  };
  return (
    <div className="page" data-state={realtime.status.state}>
      <a className="skip" href="#orders">
        {text.skip}
      </a>
      <TopBar
        pass={pass}
        realtime={realtime}
        transport={transport}
        onTransport={(other) => {
          keepInAddress("transport", other);
          setTransport(other);
        }}
        onLeave={leave}
      />
      <main>
        <Tiles orders={orders} reservations={reservations} />
        <FocusKeeper>
          <section className="panel orders" aria-labelledby="orders">
            <div className="bar">
              <h2 id="orders" tabIndex={-1}>
                {text.orders}
              </h2>
              <NewOrder
                onPlace={(draft) => {
                  void actions.ask(ACTIONS.create, draft, draft.customer);
                }}
              />
            </div>
            <Orders
              orders={orders}
              loaded={loaded.has(ORDERS)}
              isAdmin={isAdmin}
              actions={actions}
            />
          </section>
          <Reservations
            reservations={reservations}
            loaded={loaded.has(RESERVATIONS)}
            isAdmin={isAdmin}
            actions={actions}
          />
        </FocusKeeper>
        <Telemetry board={board} realtime={realtime} drawn={drawn} />
      </main>
      <Notices realtime={realtime} actions={actions} onLeave={onLeave} />
    </div>
  );
}

/** By ?transport=, so that a reload or a link keeps it. */
function askedTransport(): Transport {
  const asked = new URLSearchParams(location.search).get("transport");
  return TRANSPORTS.find((one) => one === asked) ?? "native";
}

interface TilesProps {
  readonly orders: readonly Order[];
  readonly reservations: readonly Reservation[];
}

/** The four numbers that somebody looks for who has no time. */
function Tiles({ orders, reservations }: TilesProps) {
  const { text } = useLanguage();
  const money = useMoney();
  const now = useNow(10_000);
  const open = orders.filter(({ status }) => status !== "served" && status !== "cancelled");
  const ready = open.filter(({ status }) => status === "ready");
  const served = orders.filter(({ status }) => status === "served");
  const coming = reservations.filter(isComing);
  const requested = coming.filter(({ status }) => status === "requested");
  const sum = (some: readonly Order[]) => some.reduce((total, order) => total + order.total, 0);
  const oldest = Math.min(now, ...ready.map(({ updatedAt }) => updatedAt));
  return (
    <dl className="tiles">
      <Tile
        name={text.openOrders}
        value={String(open.length)}
        more={text.worth(money(sum(open)))}
      />
      <Tile
        name={text.ready}
        value={String(ready.length)}
        more={ready.length > 0 ? text.oldest(age(text, now - oldest)) : ""}
      />
      <Tile name={text.takings} value={money(sum(served))} more={text.ofServed(served.length)} />
      <Tile
        name={text.guests}
        value={String(coming.reduce((guests, one) => guests + one.guests, 0))}
        more={text.ofReservations(requested.length)}
      />
    </dl>
  );
}

interface TileProps {
  readonly name: string;
  readonly value: string;
  readonly more: string;
}

function Tile({ name, value, more }: TileProps) {
  return (
    <div className="tile">
      <dt>{name}</dt>
      <dd>
        {value} <small>{more}</small>
      </dd>
    </div>
  );
}
