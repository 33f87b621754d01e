import { useSignal, useSignalEffect, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Candle } from "../../../pipelines/crypto/api/schemas.ts";
import { INTERVAL_S, type Interval } from "../../../src/pipeline/intervals.ts";
import { CandleChart } from "../../charts/candle-chart.ts";
import { toNumber } from "../../format/decimal.ts";
import { plural } from "../../format/number.ts";
import { formatDate, formatMoment, zoneName } from "../../format/time.ts";
import { Amount, Change, Price } from "../../components/figures.tsx";
import { Empty, Failure, Skeleton } from "../../components/states.tsx";
import { CandleStart } from "../../components/time.tsx";
import { palette, zone } from "../../state/settings.ts";
import type { CandleFeed } from "./feed.ts";

function changeOf({ open, close }: Candle): number {
  return (100 * (toNumber(close) - toNumber(open))) / toNumber(open);
}

function Legend({ candle, interval }: { candle: Candle | undefined; interval: Interval }) {
  if (candle === undefined) return <div class="legend">&nbsp;</div>;
  return (
    <div class="legend" aria-live="polite">
      <span>
        <CandleStart at={candle.time} interval={interval} />
      </span>
      {(["open", "high", "low", "close"] as const).map((name) => (
        <span key={name}>
          <abbr title={name}>{name.charAt(0).toUpperCase()}</abbr> <Price value={candle[name]} />
        </span>
      ))}
      <Change percent={changeOf(candle)} />
      <span>
        <abbr title="traded volume in US dollars">Vol</abbr> <Amount value={candle.volume} why="no trades reported" />
      </span>
      <span class="muted">{plural(candle.price_updates, "update")}</span>
    </div>
  );
}

/** Describes the chart for screen readers. */
function summaryOf(candles: readonly Candle[], name: string, interval: Interval): string {
  const [first, last] = [candles[0], candles.at(-1)];
  if (first === undefined || last === undefined) return `${name}: no candles`;
  const is_of_days = interval.endsWith("d");
  const moment = (time: string) =>
    is_of_days ? formatDate(Date.parse(time), "utc") : formatMoment(Date.parse(time), zone.value);
  const zone_name = is_of_days ? "UTC" : zoneName(zone.value, Date.parse(last.time));
  const low = candles.reduce((a, b) => (toNumber(b.low) < toNumber(a.low) ? b : a)).low;
  const high = candles.reduce((a, b) => (toNumber(b.high) > toNumber(a.high) ? b : a)).high;
  const span = `from ${moment(first.time)} to ${moment(last.time)} ${zone_name}`;
  return (
    `${name} in US dollars: ${candles.length} candles of ${interval} ${span}; low ${low}, high ${high}, ` +
    `last ${last.close}. Arrow keys move between candles, plus and minus zoom.`
  );
}

function useChart(feed: CandleFeed, interval: Interval, pointed: Signal<Candle | null>) {
  const container = useRef<HTMLDivElement>(null);
  const chart = useRef<CandleChart | null>(null);
  useEffect(() => {
    if (container.current === null) return undefined;
    const made = new CandleChart(container.current);
    chart.current = made;
    made.onPointed((candle) => (pointed.value = candle));
    made.onLeftEnd(() => void feed.loadOlder());
    const stop = feed.candles.subscribe((candles) => {
      if (candles !== null) made.show(candles, INTERVAL_S[interval]);
    });
    return () => {
      stop();
      made.remove();
      chart.current = null;
    };
  }, [feed]);
  useSignalEffect(() => {
    void palette.value;
    void zone.value;
    chart.current?.paint();
  });
  return { container, chart };
}

/** Handles keys of the chart: arrows, Page and Home/End select a candle, plus and minus zoom, Escape deselects. */
function keyHandler(
  candles: readonly Candle[] | null,
  pointed: Signal<Candle | null>,
  chart: { current: CandleChart | null },
): (event: KeyboardEvent) => void {
  return (event) => {
    if (candles === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const at =
      pointed.value === null ? candles.length - 1 : candles.findIndex(({ time }) => time === pointed.value?.time);
    const steps: Record<string, number> = {
      ArrowLeft: -1,
      ArrowRight: 1,
      PageUp: -20,
      PageDown: 20,
      Home: -candles.length,
      End: candles.length,
    };
    const step = steps[event.key];
    if (step !== undefined) {
      const candle = candles[Math.min(candles.length - 1, Math.max(0, pointed.value === null ? at : at + step))];
      if (candle) {
        pointed.value = candle;
        chart.current?.point(candle);
      }
    } else if (event.key === "+" || event.key === "=") chart.current?.zoom(0.7);
    else if (event.key === "-") chart.current?.zoom(1.4);
    else if (event.key === "Escape") {
      pointed.value = null;
      chart.current?.unpoint();
    } else return;
    event.preventDefault();
  };
}

interface ChartProps {
  feed: CandleFeed;
  name: string;
  interval: Interval;
}

export function Chart({ feed, name, interval }: ChartProps) {
  const pointed = useSignal<Candle | null>(null);
  const { container, chart } = useChart(feed, interval, pointed);
  const candles = feed.candles.value;
  const onKeyDown = keyHandler(candles, pointed, chart);
  return (
    <>
      <Legend candle={pointed.value ?? candles?.at(-1)} interval={interval} />
      <div class="chart-frame">
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- arrow keys move between the candles */}
        <div
          ref={container}
          class="chart"
          tabIndex={0}
          role="group"
          aria-label={candles === null ? `${name}: loading candles` : summaryOf(candles, name, interval)}
          onKeyDown={onKeyDown}
        />
        <Overlay feed={feed} />
      </div>
    </>
  );
}

/** What covers a chart without candles: a skeleton, an error or an empty state. */
function Overlay({ feed }: { feed: CandleFeed }) {
  const candles = feed.candles.value;
  const error = feed.error.value;
  if (candles !== null && candles.length > 0) return null;
  return (
    <div class="chart-over">
      {candles !== null ? (
        <Empty title="No candles yet">
          A candle appears for each minute with an accepted price; longer intervals follow with the first commit.
        </Empty>
      ) : error === null ? (
        <Skeleton height="100%" />
      ) : (
        <Failure
          what="The candles"
          error={error}
          retry_at_ms={feed.retry_at_ms.value}
          still="The price above is still live."
        />
      )}
    </div>
  );
}
