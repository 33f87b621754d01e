import {
  createChart,
  HistogramSeries,
  LineSeries,
  type IChartApi,
  type ISeriesApi,
  type UTCTimestamp,
} from "lightweight-charts";
import { toNumber } from "../format/decimal.ts";
import { formatCount, formatFigure } from "../format/number.ts";
import { formatDate, formatMoment, zoneName } from "../format/time.ts";
import { colour, LINE_COLOURS, zone } from "../state/settings.ts";
import { themeOptions, tickMark } from "./look.ts";

export interface ShownSeries {
  name: string;
  /** Oldest first, with distinct times. */
  points: readonly { time: string; value: string }[];
}

export interface ShownValues {
  series: readonly ShownSeries[];
  /** Bounds of the time axis, also where its ends have no value. */
  from_ms: number;
  to_ms: number;
  step_s: number;
  /** An interval that ends later is still running, and drawn lighter. */
  now_ms: number;
}

const DAY_S = 86_400;
const SPAN_OF_DAYS_S = 3 * DAY_S;

const secondsOf = (at_ms: number) => (at_ms / 1000) as UTCTimestamp;

/** Equal digits on one axis: 800 and 1,200. */
function axisText(value: number): string {
  return Math.abs(value) >= 100 ? formatCount(value) : formatFigure(value);
}

/** Bars or lines by interval. All intervals are always in view, so the chart neither scrolls nor zooms. */
export class SeriesChart {
  readonly #chart: IChartApi;
  readonly #kind: "bars" | "line";
  #series: ISeriesApi<"Histogram" | "Line">[] = [];
  #step_s = 60;

  constructor(container: HTMLElement, kind: "bars" | "line") {
    this.#kind = kind;
    this.#chart = createChart(container, {
      autoSize: true,
      handleScroll: false,
      handleScale: false,
      layout: { attributionLogo: false, fontSize: 11 },
      localization: { timeFormatter: (time: number) => this.#timeText(time), priceFormatter: axisText },
      timeScale: { timeVisible: true, secondsVisible: false, minBarSpacing: 0.5, fixLeftEdge: true },
    });
    this.#chart.applyOptions(themeOptions());
  }

  show({ series, from_ms, to_ms, step_s, now_ms }: ShownValues): void {
    this.#step_s = step_s;
    const is_of_days = step_s >= DAY_S || (to_ms - from_ms) / 1000 > SPAN_OF_DAYS_S;
    this.#chart.applyOptions(themeOptions());
    this.#chart.applyOptions({
      timeScale: { tickMarkFormatter: (time: number) => tickMark(time, is_of_days) },
      crosshair: {
        vertLine: { color: colour("muted"), labelBackgroundColor: colour("raised") },
        horzLine: { color: colour("muted"), labelBackgroundColor: colour("raised") },
      },
    });
    while (this.#series.length > series.length) {
      const last = this.#series.pop();
      if (last !== undefined) this.#chart.removeSeries(last);
    }
    const count = Math.round((to_ms - from_ms) / (step_s * 1000));
    for (const [index, { points }] of series.entries()) {
      const drawn = (this.#series[index] ??= this.#add());
      const line = colour(LINE_COLOURS[index % LINE_COLOURS.length] ?? "accent");
      drawn.applyOptions({ color: line });
      const values = new Map(points.map(({ time, value }) => [Date.parse(time), toNumber(value)]));
      drawn.setData(
        Array.from({ length: count }, (_, interval) => {
          const at_ms = from_ms + interval * step_s * 1000;
          const [time, value] = [secondsOf(at_ms), values.get(at_ms)];
          if (value === undefined) return { time };
          const is_running = this.#kind === "bars" && at_ms + step_s * 1000 > now_ms;
          return is_running ? { time, value, color: colour("muted") } : { time, value };
        }),
      );
    }
    this.#chart.timeScale().fitContent();
  }

  /** Calls the listener with the start of the interval under the pointer, in ms, or null when it leaves. */
  onPointed(listener: (at_ms: number | null) => void): void {
    this.#chart.subscribeCrosshairMove(({ time }) => listener(typeof time === "number" ? time * 1000 : null));
  }

  point(at_ms: number, value: number): void {
    const [first] = this.#series;
    if (first !== undefined) this.#chart.setCrosshairPosition(value, secondsOf(at_ms), first);
  }

  unpoint(): void {
    this.#chart.clearCrosshairPosition();
  }

  remove(): void {
    this.#chart.remove();
  }

  #add(): ISeriesApi<"Histogram" | "Line"> {
    const options = { priceLineVisible: false, lastValueVisible: false } as const;
    const added =
      this.#kind === "bars"
        ? this.#chart.addSeries(HistogramSeries, { ...options, base: 0 })
        : this.#chart.addSeries(LineSeries, { ...options, lineWidth: 2 });
    return added as unknown as ISeriesApi<"Histogram" | "Line">;
  }

  /** Days begin at midnight UTC in either zone, so only their date is shown. */
  #timeText(time_s: number): string {
    const at_ms = time_s * 1000;
    if (this.#step_s >= DAY_S) return `${formatDate(at_ms, "utc")} UTC`;
    return `${formatMoment(at_ms, zone.peek())} ${zoneName(zone.peek(), at_ms)}`;
  }
}
