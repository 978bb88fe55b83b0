/** Who is here, over which transport, and whether it is live. */
import { useEffect, useRef } from "react";

import type { Realtime } from "../../hooks/useRealtime";
import { useLanguage } from "../../language";
import { Brand, LanguageButton, ThemeButton } from "../../parts/Brand";
import type { Pass } from "../../realtime/pass";
import { ConnectionBadge } from "./ConnectionBadge";
import { type Transport, TRANSPORTS } from "./useBoard";

interface Props {
  readonly pass: Pass;
  readonly realtime: Realtime;
  readonly transport: Transport;
  readonly onTransport: (transport: Transport) => void;
  readonly onLeave: () => void;
}

export function TopBar({ pass, realtime, transport, onTransport, onLeave }: Props) {
  const { text } = useLanguage();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus(); // the form that had the focus is gone
  }, []);
  return (
    <header className="top">
      <div className="title">
        <Brand />
        <h1 ref={heading} tabIndex={-1}>
          {text.board}
        </h1>
      </div>
      <ConnectionBadge status={realtime.status} />
      <div className="tools">
        <fieldset className="segments">
          <legend className="unseen">{text.transport}</legend>
          {TRANSPORTS.map((one) => (
            <label key={one}>
              <input
                type="radio"
                name="transport"
                checked={one === transport}
                onChange={() => {
                  onTransport(one);
                }}
              />
              <span>{text.transports[one]}</span>
            </label>
          ))}
        </fieldset>
        <ThemeButton />
        <LanguageButton />
        <p className="me">
          <strong>{pass.user}</strong>{" "}
          <span className="soft">{text.roles[pass.role] ?? pass.role}</span>
        </p>
        <button type="button" className="quiet" onClick={onLeave}>
          {text.logOut}
        </button>
      </div>
    </header>
  );
}
