import { compareDecimals, toNumber } from "../format/decimal.ts";

const WIDTH = 96;
const HEIGHT = 24;
const PAD = 2;

/** The last day's prices as a line. */
export function Sparkline({ prices, label }: { prices: readonly string[]; label: string }) {
  const values = prices.map(toNumber);
  const first = prices[0];
  const last = prices.at(-1);
  if (values.length < 2 || first === undefined || last === undefined) {
    return (
      <svg
        class="sparkline"
        width={WIDTH}
        height={HEIGHT}
        role="img"
        aria-label={`${label}: not enough prices for a line yet`}
      >
        <line class="none" x1={PAD} x2={WIDTH - PAD} y1={HEIGHT / 2} y2={HEIGHT / 2} />
      </svg>
    );
  }
  const lowest = Math.min(...values);
  const span = Math.max(...values) - lowest || 1;
  const x = (index: number) => PAD + (index * (WIDTH - 2 * PAD)) / (values.length - 1);
  const y = (value: number) => HEIGHT - PAD - ((value - lowest) / span) * (HEIGHT - 2 * PAD);
  const points = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const order = compareDecimals(last, first);
  const name = order > 0 ? "up" : order < 0 ? "down" : "flat";
  return (
    <svg
      class={`sparkline ${name}`}
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={`${label}: ${name} over the prices shown`}
    >
      <line class="start" x1={PAD} x2={WIDTH - PAD} y1={y(toNumber(first))} y2={y(toNumber(first))} />
      <polyline points={points} />
      <circle cx={x(values.length - 1)} cy={y(toNumber(last))} r="1.75" />
    </svg>
  );
}
