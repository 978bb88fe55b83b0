/** The board: orders and reservations, live, and what the connection is doing. */
import { useEffect, useEffectEvent, useState, type SyntheticEvent } from "react";

import type { Realtime } from "../../hooks/useRealtime";
import { useLanguage } from "../../language";
import { Brand, LanguageButton } from "../../parts/Brand";
import type { Stats } from "../../realtime/client";
import { RequestFailed } from "../../realtime/outbox";
import type { Pass } from "../../realtime/pass";
import { advanceOrder, advanceReservation, cancel, newOrder, newReservation, say } from "./actions";
import { ConnectionBadge } from "./ConnectionBadge";
import { Orders, price } from "./Orders";
import { Reservations } from "./Reservations";
import { useBoard } from "./useBoard";

const STATS_MS = 1_000;
const HOUSE_MS = 1_500; // between two acts of a house that runs by itself

interface Props {
  readonly pass: Pass;
  readonly onLeave: () => void;
}

export function Dashboard({ pass, onLeave }: Props) {
  const { text, language } = useLanguage();
  const { view, board, realtime } = useBoard(pass);
  const { status, publish } = realtime;
  const [problem, setProblem] = useState("");
  const isAdmin = pass.role === "admin";
  const { orders, reservations } = view;

  /** Say why it was not done; a success needs no words, it is on the board. */
  function attempt(doing: Promise<unknown>): void {
    doing.then(
      () => {
        setProblem("");
      },
      (error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        const known = !(error instanceof RequestFailed) || !["lost", "timeout"].includes(error.why);
        setProblem(known ? text.failed(why) : text.unknown(why));
      },
    );
  }

  const order = () => {
    attempt(newOrder(publish, text.menu.length));
  };
  const reserve = () => {
    attempt(newReservation(publish));
  };
  useKeys({ n: order, r: reserve });

  const [running, setRunning] = useState(false);
  const act = useEffectEvent(() => {
    if (status.state !== "open") return; // nothing piles up for later
    const dice = Math.random();
    const open = orders.filter((one) => one.status !== "served" && one.status !== "cancelled");
    const oldest = open[0];
    const asked = reservations.find((one) => one.status === "asked" || one.status === "confirmed");
    if (dice < 0.2) reserve();
    else if (dice < 0.35 && asked) attempt(advanceReservation(publish, asked));
    else if (oldest && (dice < 0.7 || open.length > 12)) attempt(advanceOrder(publish, oldest));
    else order();
  });
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(act, HOUSE_MS);
    return () => {
      clearInterval(timer);
    };
  }, [running]);

  const open = orders.filter((one) => one.status !== "served" && one.status !== "cancelled");
  const money = new Intl.NumberFormat(language, {
    style: "currency",
    currency: "CNY",
    currencyDisplay: "narrowSymbol",
  });
  const takings = orders
    .filter((one) => one.status === "served")
    .reduce((sum, one) => sum + price(one, text.menu), 0);
  const guests = reservations
    .filter((one) => one.status === "asked" || one.status === "confirmed")
    .reduce((sum, one) => sum + one.guests, 0);
  const onCancel = (channel: string, id: string) => {
    attempt(cancel(publish, channel, id));
  };
  const leave = () => {
    pass.logOut().catch(() => {}); // the server may be away; the token ends by itself
    onLeave();
  };

  return (
    <div className="page">
      <a className="skip" href="#orders">
        {text.skip}
      </a>
      <header className="top">
        <Brand />
        <h1>{text.board}</h1>
        <ConnectionBadge status={status} onRetry={realtime.retryNow} />
        <p className="me">
          <strong>{pass.user}</strong> <span className="soft">{pass.role}</span>
          <button type="button" className="quiet" onClick={leave}>
            {text.logOut}
          </button>
          <LanguageButton />
        </p>
      </header>

      {status.state === "stopped" && (
        <p className="banner" role="alert">
          {text.states.stopped}{" "}
          <button type="button" className="main" onClick={onLeave}>
            {text.again}
          </button>
        </p>
      )}
      {view.gap && (
        <p className="banner">
          {text.gap}{" "}
          <button
            type="button"
            onClick={() => {
              board.dismissGap();
            }}
          >
            {text.dismiss}
          </button>
        </p>
      )}
      {view.notice && <p className="banner notice">{view.notice}</p>}
      <p className="banner problem" role="alert" hidden={problem === ""}>
        {problem}
      </p>

      <main>
        <dl className="tiles">
          <Tile name={text.openOrders} value={String(open.length)} />
          <Tile
            name={text.ready}
            value={String(orders.filter((one) => one.status === "ready").length)}
          />
          <Tile name={text.takings} value={money.format(takings / 100)} />
          <Tile name={text.guests} value={String(guests)} />
        </dl>

        <section className="panel orders" id="orders" tabIndex={-1}>
          <div className="bar">
            <h2>{text.orders}</h2>
            <label className="switch" title={text.simulateHint}>
              <input
                type="checkbox"
                role="switch"
                checked={running}
                onChange={(event) => {
                  setRunning(event.target.checked);
                }}
              />
              {text.simulate}
            </label>
            <button type="button" className="main" onClick={order} aria-keyshortcuts="n">
              {text.newOrder}
            </button>
          </div>
          <Orders
            orders={orders}
            isAdmin={isAdmin}
            onAdvance={(one) => {
              attempt(advanceOrder(publish, one));
            }}
            onCancel={onCancel}
          />
        </section>

        <aside>
          <section className="panel">
            <div className="bar">
              <h2>{text.reservations}</h2>
              <button type="button" onClick={reserve} aria-keyshortcuts="r">
                {text.newReservation}
              </button>
            </div>
            <Reservations
              reservations={reservations}
              isAdmin={isAdmin}
              onAdvance={(one) => {
                attempt(advanceReservation(publish, one));
              }}
              onCancel={onCancel}
            />
          </section>
          {isAdmin && (
            <NoticeForm
              onSay={(words) => {
                attempt(say(publish, words));
              }}
            />
          )}
        </aside>
      </main>
      <Footer stats={realtime.stats} />
    </div>
  );
}

function Tile({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <div className="tile">
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function NoticeForm({ onSay }: { readonly onSay: (text: string) => void }) {
  const { text } = useLanguage();
  const [words, setWords] = useState("");
  function submit(event: SyntheticEvent<HTMLFormElement>): void {
    event.preventDefault();
    onSay(words);
    setWords("");
  }
  return (
    <form className="panel" onSubmit={submit}>
      <label>
        <span>{text.notice}</span>
        <input
          value={words}
          maxLength={200}
          required
          onChange={(event) => {
            setWords(event.target.value);
          }}
        />
      </label>
      <p className="bar">
        <span className="soft small">{text.noticeHint}</span>
        <button type="submit">{text.send}</button>
      </p>
    </form>
  );
}

/** What has passed: asked for now and then, for counting must not cost a rendering a message. */
function Footer({ stats }: { readonly stats: Realtime["stats"] }) {
  const { text } = useLanguage();
  const [counts, setCounts] = useState<Stats>(stats);
  useEffect(() => {
    const timer = setInterval(() => {
      setCounts(stats());
    }, STATS_MS);
    return () => {
      clearInterval(timer);
    };
  }, [stats]);
  const rows = [
    [text.stats.received, counts.received],
    [text.stats.sent, counts.sent],
    [text.stats.opened, counts.opened],
    [text.stats.waiting, counts.waiting],
    [text.stats.buffered, counts.bufferedAmount],
  ] as const;
  return (
    <footer>
      <ul>
        {rows.map(([name, count]) => (
          <li key={name}>
            <span className="soft">{name}</span> {count}
          </li>
        ))}
      </ul>
      <p className="soft">{text.keys}</p>
    </footer>
  );
}

/** Single keys for what is done often; not while somebody types, and not with a modifier. */
function useKeys(keys: Readonly<Record<string, () => void>>): void {
  const press = useEffectEvent((event: KeyboardEvent) => {
    const typing = event.target instanceof HTMLInputElement && event.target.type !== "checkbox";
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    keys[event.key.toLowerCase()]?.();
  });
  useEffect(() => {
    const listener = (event: KeyboardEvent) => {
      press(event);
    };
    addEventListener("keydown", listener);
    return () => {
      removeEventListener("keydown", listener);
    };
  }, []);
}
