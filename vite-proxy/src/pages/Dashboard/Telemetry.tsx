/** The instruments: what the servers measure of themselves, and what this page's connection did. */
import { useEffect, useState, useSyncExternalStore } from "react";

import type { Realtime } from "../../hooks/useRealtime";
import { useLanguage } from "../../language";
import type { Stats } from "../../realtime/client";
import { type Metric, METRICS, type Sample } from "../../server";
import { type Board, SAMPLES } from "./board";
import { Sparkline } from "./Sparkline";
import { WireLog } from "./WireLog";

const STATS_MS = 1_000;

interface Props {
  readonly board: Board;
  readonly realtime: Realtime;
  readonly drawn: number;
}

export function Telemetry({ board, realtime, drawn }: Props) {
  const { text } = useLanguage();
  const samples = useSyncExternalStore(board.onSamples, board.getSamples);
  return (
    <section className="panel telemetry" aria-labelledby="telemetry">
      <div className="bar">
        <h2 id="telemetry">{text.telemetry}</h2>
        <p className="soft small">
          {text.telemetryNote} · {text.raw}
        </p>
      </div>
      <dl className="instruments">
        {METRICS.map((metric) => (
          <Instrument key={metric} metric={metric} samples={samples} />
        ))}
      </dl>
      <Connection realtime={realtime} drawn={drawn} />
      <WireLog watch={realtime.watch} />
    </section>
  );
}

interface InstrumentProps {
  readonly metric: Metric;
  readonly samples: readonly Sample[];
}

function Instrument({ metric, samples }: InstrumentProps) {
  const { text } = useLanguage();
  const show = useShow(metric);
  const values = samples.map((sample) => sample[metric]);
  const last = values.at(-1);
  const name = text.metrics[metric];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const label =
    last === undefined
      ? `${name}: ${text.noSamples}`
      : text.range(name, values.length, show(low), show(high), show(last));
  return (
    <div className="instrument" data-metric={metric}>
      <dt>{name}</dt>
      <dd>
        <span className="value">{last === undefined ? "–" : show(last)}</span>
        <Sparkline values={values} room={SAMPLES} label={label} />
      </dd>
    </div>
  );
}

function useShow(metric: Metric): (value: number) => string {
  const { language } = useLanguage();
  const digits = metric === "roundTripMs" || metric === "messagesPerSecond" ? 1 : 0;
  const format = new Intl.NumberFormat(language, { maximumFractionDigits: digits });
  return (value) => format.format(value) + (metric === "roundTripMs" ? " ms" : "");
}

/** What has passed here: asked for now and then, for counting must not cost a drawing a message. */
function Connection({ realtime, drawn }: Pick<Props, "realtime" | "drawn">) {
  const { text } = useLanguage();
  const counts = useStats(realtime.stats);
  const { roundTripMs } = counts;
  const rows = [
    [text.stats.received, String(counts.received)],
    [text.stats.drawn, String(drawn)],
    [text.stats.sent, String(counts.sent)],
    [text.stats.waiting, String(counts.waiting)],
    [text.stats.opened, String(counts.opened)],
    [text.stats.roundTrip, roundTripMs === null ? "–" : `${roundTripMs.toFixed(1)} ms`],
  ] as const;
  return (
    <>
      <h3>{text.here}</h3>
      <dl className="counts">
        {rows.map(([name, count]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{count}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

export function useStats(stats: Realtime["stats"]): Stats {
  const [counts, setCounts] = useState<Stats>(stats);
  useEffect(() => {
    const timer = setInterval(() => {
      setCounts(stats());
    }, STATS_MS);
    return () => {
      clearInterval(timer);
    };
  }, [stats]);
  return counts;
}
