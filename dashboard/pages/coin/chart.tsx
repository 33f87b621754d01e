import { useSignal, useSignalEffect, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Candle, Interval } from "../../../pipelines/crypto/api/schemas.ts";
import { CandleChart } from "../../charts/candle-chart.ts";
import { toNumber } from "../../format/decimal.ts";
import { plural } from "../../format/number.ts";
import { formatDate, formatMoment, zoneName } from "../../format/time.ts";
import { Amount, Change, Price } from "../../components/figures.tsx";
import { Empty, Failure, Skeleton } from "../../components/states.tsx";
import { CandleStart } from "../../components/time.tsx";
import { palette, zone } from "../../state/settings.ts";
import { STEPS_S, type CandleFeed } from "./feed.ts";

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

/** The chart in words, for who does not see it. */
function summaryOf(candles: readonly Candle[], name: string, interval: Interval): string {
  const [first, last] = [candles[0], candles.at(-1)];
  if (first === undefined || last === undefined) return `${name}: no candles`;
  const is_of_days = interval.endsWith("d");
  const moment = (time: string) =>
    is_of_days ? formatDate(Date.parse(time), "utc") : formatMoment(Date.parse(time), zone.value);
  const zone_name = is_of_days ? "UTC" : zoneName(zone.value, Date.parse(last.time));
  const low = candles.reduce((a, b) => (toNumber(b.low) < toNumber(a.low) ? b : a)).low;
  const high = candles.reduce((a, b) => (toNumber(b.high) > toNumber(a.high) ? b : a)).high;
  const span = `${candles.length} candles of ${interval} from ${moment(first.time)} to ${moment(last.time)} ${zone_name}`;
  return `${name} in US dollars: ${span}; low ${low}, high ${high}, last ${last.close}. Arrow keys walk through them, plus and minus zoom.`;
}

function useChart(feed: CandleFeed, interval: Interval, pointed: Signal<Candle | null>) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<CandleChart | null>(null);
  useEffect(() => {
    if (place.current === null) return undefined;
    const made = new CandleChart(place.current);
    chart.current = made;
    made.onPointed((candle) => (pointed.value = candle));
    made.onLeftEnd(() => void feed.loadOlder());
    const stop = feed.candles.subscribe((candles) => {
      if (candles !== null) made.show(candles, STEPS_S[interval]);
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
  return { place, chart };
}

interface ChartProps {
  feed: CandleFeed;
  name: string;
  interval: Interval;
}

export function Chart({ feed, name, interval }: ChartProps) {
  const pointed = useSignal<Candle | null>(null);
  const { place, chart } = useChart(feed, interval, pointed);
  const candles = feed.candles.value;
  const error = feed.error.value;
  const onKeyDown = (event: KeyboardEvent) => {
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
  return (
    <>
      <Legend candle={pointed.value ?? candles?.at(-1)} interval={interval} />
      <div class="chart-frame">
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- arrow keys walk through the candles */}
        <div
          ref={place}
          class="chart"
          tabIndex={0}
          role="group"
          aria-label={candles === null ? `${name}: loading candles` : summaryOf(candles, name, interval)}
          onKeyDown={onKeyDown}
        />
        {candles === null && error === null ? (
          <div class="chart-over">
            <Skeleton height="100%" />
          </div>
        ) : null}
        {candles === null && error !== null ? (
          <div class="chart-over">
            <Failure
              what="The candles"
              error={error}
              retry_at_ms={feed.retry_at_ms.value}
              still="The price above goes on."
            />
          </div>
        ) : null}
        {candles?.length === 0 ? (
          <div class="chart-over">
            <Empty title="No candles here yet">
              Each minute with an accepted price makes one. Longer intervals appear with the first full table commit.
            </Empty>
          </div>
        ) : null}
      </div>
    </>
  );
}
