import { formatAmount, formatExact, formatPrice } from "../format/decimal.ts";
import { directionOf, formatPercent } from "../format/number.ts";

/** A dash for a missing value, with the reason as tooltip. */
export function Missing({ why }: { why: string }) {
  return (
    <span class="missing" title={why}>
      –<span class="unseen"> ({why})</span>
    </span>
  );
}

interface DollarsProps {
  value: string | null;
  why?: string;
  with_unit?: boolean;
}

export function Price({ why = "no price yet", ...props }: DollarsProps) {
  return <Dollars {...props} why={why} format={formatPrice} />;
}

export function Amount({ why = "not provided by the source", ...props }: DollarsProps) {
  return <Dollars {...props} why={why} format={formatAmount} />;
}

interface FormattedProps extends Required<Pick<DollarsProps, "why">>, Omit<DollarsProps, "why"> {
  format: (value: string) => string | null;
}

function Dollars({ value, why, with_unit = false, format }: FormattedProps) {
  const text = value === null ? null : format(value);
  if (value === null || text === null) return <Missing why={why} />;
  return (
    <span class="figure" title={`${formatExact(value)} US dollars`}>
      {text}
      {with_unit ? <span class="unit"> USD</span> : null}
    </span>
  );
}

/** A percentage change; its direction shows as shape, sign and colour. */
export function Change({
  percent,
  why = "no price that far back",
  decimals = 2,
}: {
  percent: number | null;
  why?: string;
  decimals?: number;
}) {
  if (percent === null || Number.isNaN(percent)) return <Missing why={why} />;
  const direction = directionOf(percent, decimals);
  // Changes of 1,000 % and more are shown without decimals, to fit the column.
  const shown_decimals = Math.abs(percent) >= 1_000 ? 0 : decimals;
  const name = direction > 0 ? "up" : direction < 0 ? "down" : "flat";
  return (
    <span class={`figure change ${name}`}>
      <span class="arrow" aria-hidden="true">
        {direction > 0 ? "▲" : direction < 0 ? "▼" : ""}
      </span>
      {formatPercent(percent, shown_decimals)}
    </span>
  );
}

/** Alternates two class names for each direction, because only a changed class restarts the animation. */
export function flashOf(live: { move: number; changes: number } | null): string {
  if (live === null || live.changes === 0) return "";
  return `flash-${live.move > 0 ? "up" : "down"}-${live.changes % 2}`;
}
