import { createChart, LineSeries, type IChartApi, type ISeriesApi, type UTCTimestamp } from "lightweight-charts";
import { formatFigure } from "../format/number.ts";
import { formatMoment, zoneName } from "../format/time.ts";
import { colour, LINE_COLOURS, zone } from "../state/settings.ts";
import { themeOptions, tickMark } from "./look.ts";

export interface Line {
  name: string;
  /** Points in ascending order, with distinct times. */
  points: readonly { at_ms: number; value: number }[];
}

const DAY_MS = 86_400_000;

/** Line chart over time for query results. */
export class LineChart {
  readonly #chart: IChartApi;
  #series: ISeriesApi<"Line">[] = [];

  constructor(container: HTMLElement) {
    this.#chart = createChart(container, {
      autoSize: true,
      handleScroll: { vertTouchDrag: false },
      layout: { attributionLogo: false, fontSize: 11 },
      localization: {
        timeFormatter: (time: number) =>
          `${formatMoment(time * 1000, zone.peek())} ${zoneName(zone.peek(), time * 1000)}`,
        priceFormatter: formatFigure,
      },
      timeScale: { timeVisible: true, secondsVisible: true },
    });
  }

  show(lines: readonly Line[]): void {
    for (const series of this.#series) this.#chart.removeSeries(series);
    const spans_ms = lines.map(({ points }) => (points.at(-1)?.at_ms ?? 0) - (points[0]?.at_ms ?? 0));
    this.#paint(Math.max(0, ...spans_ms) > 3 * DAY_MS);
    this.#series = lines.map(({ points, name }, index) => {
      const series = this.#chart.addSeries(LineSeries, {
        lineWidth: 2,
        color: colour(LINE_COLOURS[index % LINE_COLOURS.length] ?? "accent"),
        title: lines.length > 1 ? name : "",
        priceLineVisible: false,
      });
      series.setData(points.map(({ at_ms, value }) => ({ time: (at_ms / 1000) as UTCTimestamp, value })));
      return series;
    });
    this.#chart.timeScale().fitContent();
  }

  remove(): void {
    this.#chart.remove();
  }

  #paint(is_of_days: boolean): void {
    this.#chart.applyOptions(themeOptions());
    this.#chart.applyOptions({
      timeScale: { tickMarkFormatter: (time: number) => tickMark(time, is_of_days) },
    });
  }
}
