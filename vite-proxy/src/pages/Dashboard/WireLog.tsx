/** What passes on the wire, as a transcript: → to the server, ← from it. Watched while it is open. */
import { useEffect, useState } from "react";

import type { Realtime } from "../../hooks/useRealtime";
import { useLanguage } from "../../language";
import { Batch } from "../../realtime/batch";
import type { Traffic } from "../../realtime/client";

const LINES = 50;
const FLUSH_MS = 400;
const SHOWN = 160; // characters of a message
const encoder = new TextEncoder();

interface Line {
  readonly number: number;
  readonly direction: Traffic["direction"];
  readonly time: string;
  readonly type: string;
  readonly content: string;
  readonly bytes: number;
}

export function WireLog({ watch }: { readonly watch: Realtime["watch"] }) {
  const { text } = useLanguage();
  const [open, setOpen] = useState(false);
  const [lines, setLines] = useState<readonly Line[]>([]);
  useEffect(() => {
    if (!open) return;
    let number = 0;
    const batch = new Batch<Line>(FLUSH_MS, (more) => {
      setLines((before) => [...before, ...more].slice(-LINES));
    });
    const end = watch((traffic) => {
      number += 1;
      batch.add(asLine(traffic, number));
    });
    return () => {
      end();
      batch.drop();
      setLines([]);
    };
  }, [open, watch]);
  return (
    <details
      className="wire"
      onToggle={(event) => {
        setOpen(event.currentTarget.open);
      }}
    >
      <summary>
        {text.wire} <span className="soft">{text.wireHint}</span>
      </summary>
      <ol tabIndex={0} aria-label={text.wire}>
        {lines.toReversed().map((line) => (
          <li key={line.number} data-direction={line.direction}>
            <span>{line.time}</span>
            <span aria-hidden="true">{line.direction === "out" ? "→" : "←"}</span>
            <b>{line.type}</b>
            <span>{text.bytes(line.bytes)}</span>
            <code>{line.content}</code>
          </li>
        ))}
      </ol>
    </details>
  );
}

function asLine({ direction, message }: Traffic, number: number): Line {
  const whole = JSON.stringify(message);
  const content = message.data === undefined ? "" : JSON.stringify(message.data);
  return {
    number,
    direction,
    time: `${(performance.now() / 1000).toFixed(1)} s`,
    type: message.type,
    content: content.length > SHOWN ? `${content.slice(0, SHOWN)}…` : content,
    bytes: encoder.encode(whole).length,
  };
}
