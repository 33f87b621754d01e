import {
  CandlestickSeries,
  ColorType,
  createChart,
  CrosshairMode,
  HistogramSeries,
  type CandlestickData,
  type HistogramData,
  type IChartApi,
  type IPriceLine,
  type ISeriesApi,
  LineStyle,
  TickMarkType,
  type UTCTimestamp,
  type WhitespaceData,
} from "lightweight-charts";
import type { Candle } from "../../pipelines/crypto/api/schemas.ts";
import { formatAmount, formatDecimal, parseDecimal, priceDecimals, roundTo, toNumber } from "../format/decimal.ts";
import { formatDate, formatDayMonth, formatMinute, formatMoment, zoneName } from "../format/time.ts";
import { colour, zone } from "../state/settings.ts";
import { firstChange } from "./first-change.ts";

type Bar = CandlestickData<UTCTimestamp> | WhitespaceData<UTCTimestamp>;
type Column = HistogramData<UTCTimestamp> | WhitespaceData<UTCTimestamp>;

const DAY_S = 86_400;

const secondsOf = (time: string) => (Date.parse(time) / 1000) as UTCTimestamp;
/** Maximum number of empty intervals drawn for a gap. */
const MAX_HOLE = 500;
/** Candles in the initial view on a wide screen. */
const FIRST_VIEW = 140;

/** Spacing of the bars in pixels; few candles are drawn wider. */
function spacingFor(width: number, count: number): number {
  return Math.min(18, Math.max(5, width / Math.min(FIRST_VIEW, count + 8)));
}

/** Candlestick chart with volume below, on a time axis in the viewer's zone. */
export class CandleChart {
  readonly #container: HTMLElement;
  readonly #chart: IChartApi;
  readonly #bars: ISeriesApi<"Candlestick", UTCTimestamp>;
  /** Created with the first candle that has a volume, so that there is no empty pane. */
  #columns: ISeriesApi<"Histogram", UTCTimestamp> | null = null;
  /** Price line of the newest close. The library's own label shows the last close in view instead. */
  #close: IPriceLine | null = null;
  #candles: readonly Candle[] = [];
  #step_s = 60;
  #decimals = 2;

  constructor(container: HTMLElement) {
    this.#container = container;
    this.#chart = createChart(container, {
      autoSize: true,
      crosshair: { mode: CrosshairMode.Normal },
      handleScroll: { vertTouchDrag: false },
      layout: { attributionLogo: false, fontSize: 11, panes: { enableResize: false } },
      localization: {
        timeFormatter: (time: UTCTimestamp) => this.#timeText(time),
      },
      timeScale: {
        timeVisible: true,
        secondsVisible: false,
        rightOffset: 4,
        minBarSpacing: 1,
        tickMarkFormatter: this.#tickMark,
      },
    });
    const candles = this.#chart.addSeries(CandlestickSeries, {
      borderVisible: false,
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.#bars = candles as unknown as ISeriesApi<"Candlestick", UTCTimestamp>;
    this.paint();
  }

  /** Applies the current theme and zone. */
  paint(): void {
    const [up, down] = [colour("up"), colour("down")];
    this.#chart.applyOptions({
      layout: {
        background: { type: ColorType.Solid, color: colour("panel") },
        textColor: colour("muted"),
        fontFamily: colour("sans"),
        panes: { separatorColor: colour("line-soft"), separatorHoverColor: colour("line-soft") },
      },
      grid: { vertLines: { color: colour("line-soft") }, horzLines: { color: colour("line-soft") } },
      rightPriceScale: { borderColor: colour("line") },
      timeScale: { borderColor: colour("line"), tickMarkFormatter: this.#tickMark },
      crosshair: {
        vertLine: { color: colour("muted"), labelBackgroundColor: colour("raised") },
        horzLine: { color: colour("muted"), labelBackgroundColor: colour("raised") },
      },
    });
    // Rising candles are hollow, so that their direction is visible without colour.
    this.#bars.applyOptions({
      upColor: colour("panel"),
      downColor: down,
      wickUpColor: up,
      wickDownColor: down,
      borderVisible: true,
      borderUpColor: up,
      borderDownColor: down,
    });
    this.#close?.applyOptions({ color: colour("muted") });
    this.#drawVolume();
  }

  #drawVolume(): void {
    if (this.#columns === null) {
      if (this.#candles.every(({ volume }) => volume === null)) return;
      const volume = this.#chart.addSeries(
        HistogramSeries,
        {
          priceFormat: { type: "custom", minMove: 1, formatter: volumeText },
          lastValueVisible: false,
          priceLineVisible: false,
        },
        1,
      );
      this.#columns = volume as unknown as ISeriesApi<"Histogram", UTCTimestamp>;
      this.#chart.panes()[0]?.setStretchFactor(4);
      this.#chart.panes()[1]?.setStretchFactor(1);
    }
    this.#columns.setData(
      this.#candles.flatMap((candle, index) => this.#columnsFrom(candle, this.#candles[index - 1])),
    );
  }

  /** Shows the candles. If they continue those shown, only new ones are drawn and the view stays. */
  show(candles: readonly Candle[], step_s: number): void {
    const shown = this.#candles;
    // The library updates only the last candle in place; a change to an earlier one redraws all.
    const is_continuation =
      step_s === this.#step_s &&
      shown.length > 0 &&
      candles.length >= shown.length &&
      firstChange(shown, candles) >= shown.length - 1 &&
      shown.at(-1)?.time === candles[shown.length - 1]?.time;
    this.#candles = candles;
    this.#step_s = step_s;
    if (!is_continuation) {
      this.#setScale();
      // Older candles that were loaded do not change the view that the viewer chose.
      if (shown.length === 0)
        this.#chart.timeScale().applyOptions({ barSpacing: spacingFor(this.#container.clientWidth, candles.length) });
      this.#bars.setData(candles.flatMap((candle, index) => this.#barsFrom(candle, candles[index - 1])));
      this.#drawVolume();
      this.#drawClose();
      return;
    }
    if (this.#columns === null) this.#drawVolume();
    for (const [index, candle] of candles.entries()) {
      if (index < shown.length - 1) continue;
      for (const bar of this.#barsFrom(candle, candles[index - 1]).slice(index < shown.length ? -1 : 0))
        this.#bars.update(bar);
      for (const column of this.#columnsFrom(candle, candles[index - 1]).slice(index < shown.length ? -1 : 0))
        this.#columns?.update(column);
    }
    this.#drawClose();
  }

  #drawClose(): void {
    const last = this.#candles.at(-1);
    if (last === undefined) {
      if (this.#close !== null) this.#bars.removePriceLine(this.#close);
      this.#close = null;
      return;
    }
    const price = toNumber(last.close);
    this.#close ??= this.#bars.createPriceLine({
      price,
      color: colour("muted"),
      lineWidth: 1,
      lineStyle: LineStyle.Dotted,
      axisLabelVisible: true,
    });
    this.#close.applyOptions({ price });
  }

  /** Daily candles are days in UTC in either zone, so only their date is shown. */
  #timeText(time: UTCTimestamp): string {
    if (this.#step_s >= DAY_S) return `${formatDate(time * 1000, "utc")} UTC`;
    return `${formatMoment(time * 1000, zone.peek())} ${zoneName(zone.peek(), time * 1000)}`;
  }

  readonly #tickMark = (time: UTCTimestamp, type: TickMarkType): string => {
    const at_ms = time * 1000;
    const shown = this.#step_s >= DAY_S ? "utc" : zone.peek();
    if (type === TickMarkType.Year) return formatDate(at_ms, shown).slice(0, 4);
    if (type === TickMarkType.Month) return formatDate(at_ms, shown).slice(0, 7);
    if (type === TickMarkType.DayOfMonth || this.#step_s >= DAY_S) return formatDayMonth(at_ms, shown);
    return formatMinute(at_ms, shown);
  };

  zoom(factor: number): void {
    const range = this.#chart.timeScale().getVisibleLogicalRange();
    if (range === null) return;
    this.#chart.timeScale().setVisibleLogicalRange({ from: range.to - (range.to - range.from) * factor, to: range.to });
  }

  /** Calls the listener with the candle under the pointer, or null when it leaves. */
  onPointed(listener: (candle: Candle | null) => void): void {
    this.#chart.subscribeCrosshairMove(({ time }) =>
      listener(this.#candles.find((candle) => secondsOf(candle.time) === time) ?? null),
    );
  }

  /** Calls the listener when the oldest loaded candle comes into view. */
  onLeftEnd(listener: () => void): void {
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range !== null && range.from < 10 && this.#candles.length > 0) listener();
    });
  }

  point(candle: Candle): void {
    this.#chart.setCrosshairPosition(toNumber(candle.close), secondsOf(candle.time), this.#bars as never);
    const index = this.#bars.data().findIndex(({ time }) => time === secondsOf(candle.time));
    const range = this.#chart.timeScale().getVisibleLogicalRange();
    if (range === null || (index >= range.from && index <= range.to)) return;
    const half = (range.to - range.from) / 2;
    this.#chart.timeScale().setVisibleLogicalRange({ from: index - half, to: index + half });
  }

  unpoint(): void {
    this.#chart.clearCrosshairPosition();
  }

  remove(): void {
    this.#chart.remove();
  }

  /** Sets the axis's decimals from the last price. */
  #setScale(): void {
    const price = parseDecimal(this.#candles.at(-1)?.close ?? "1");
    this.#decimals = price === null ? 2 : priceDecimals(price);
    this.#bars.applyOptions({
      priceFormat: {
        type: "custom",
        minMove: 10 ** -this.#decimals,
        formatter: (value: number) => this.#formatPrice(value),
      },
    });
  }

  #formatPrice(price: number): string {
    const value = parseDecimal(price.toFixed(Math.min(24, this.#decimals)));
    return value === null ? "" : formatDecimal(roundTo(value, this.#decimals));
  }

  /** Empty bars for intervals without a price, so that the time axis is linear. */
  #holes(candle: Candle, before: Candle | undefined): WhitespaceData<UTCTimestamp>[] {
    if (before === undefined) return [];
    const [from_s, to_s] = [secondsOf(before.time), secondsOf(candle.time)];
    const count = Math.min(MAX_HOLE, Math.round((to_s - from_s) / this.#step_s) - 1);
    return Array.from({ length: Math.max(0, count) }, (_, index) => ({
      time: (to_s - (count - index) * this.#step_s) as UTCTimestamp,
    }));
  }

  #barsFrom(candle: Candle, before: Candle | undefined): Bar[] {
    const { open, high, low, close } = candle;
    const bar = {
      time: secondsOf(candle.time),
      open: toNumber(open),
      high: toNumber(high),
      low: toNumber(low),
      close: toNumber(close),
    };
    return [...this.#holes(candle, before), bar];
  }

  #columnsFrom(candle: Candle, before: Candle | undefined): Column[] {
    const time = secondsOf(candle.time);
    const is_rise = toNumber(candle.close) >= toNumber(candle.open);
    const column =
      candle.volume === null
        ? { time }
        : { time, value: toNumber(candle.volume), color: colour(is_rise ? "up-soft" : "down-soft") };
    return [...this.#holes(candle, before), column];
  }
}

function volumeText(value: number): string {
  return formatAmount(value.toFixed(2)) ?? "";
}
