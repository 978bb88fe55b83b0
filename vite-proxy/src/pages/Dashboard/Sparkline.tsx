/** A line of values, drawn by hand; what it shows is said in words too. */

const WIDTH = 120;
const HEIGHT = 32;
const MARGIN = 3;

interface Props {
  readonly values: readonly number[];
  /** How many values a full line has. */
  readonly room: number;
  readonly label: string;
}

export function Sparkline({ values, room, label }: Props) {
  const [low, high] = [Math.min(0, ...values), Math.max(1, ...values)];
  const points = values.map((value, index) => {
    const x = WIDTH - MARGIN - ((values.length - 1 - index) * (WIDTH - 2 * MARGIN)) / (room - 1);
    const y = HEIGHT - MARGIN - ((value - low) / (high - low)) * (HEIGHT - 2 * MARGIN);
    return [round(x), round(y)] as const;
  });
  const [first, last] = [points[0], points.at(-1)];
  const line = points.map((point) => point.join(",")).join(" ");
  return (
    <svg
      className="sparkline"
      role="img"
      aria-label={label}
      viewBox={`0 0 ${String(WIDTH)} ${String(HEIGHT)}`}
      preserveAspectRatio="none"
    >
      <path d={`M0 ${String(HEIGHT - 1)}H${String(WIDTH)}`} className="ground" />
      {first && last && (
        <>
          <polygon
            points={`${String(first[0])},${String(HEIGHT)} ${line} ${String(last[0])},${String(HEIGHT)}`}
          />
          <polyline points={line} />
          <path d={`M${last.join(" ")}h.01`} className="last" />
        </>
      )}
    </svg>
  );
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
