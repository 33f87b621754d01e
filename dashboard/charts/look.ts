import { ColorType, type ChartOptions, type DeepPartial } from "lightweight-charts";
import { formatDate, formatDayMonth, formatMinute } from "../format/time.ts";
import { colour, zone } from "../state/settings.ts";

/** Colours and fonts of a chart in the current theme. */
export function themeOptions(): DeepPartial<ChartOptions> {
  return {
    layout: {
      background: { type: ColorType.Solid, color: colour("panel") },
      textColor: colour("muted"),
      fontFamily: colour("sans"),
    },
    grid: { vertLines: { color: colour("line-soft") }, horzLines: { color: colour("line-soft") } },
    rightPriceScale: { borderColor: colour("line") },
    timeScale: { borderColor: colour("line") },
  };
}

/** A label of the time axis, in the viewer's zone: the time, or the date at midnight and where a chart spans days. */
export function tickMark(time_s: number, is_of_days: boolean): string {
  if (is_of_days) return formatDayMonth(time_s * 1000, zone.peek());
  return time_s % 86_400 === 0 ? formatDate(time_s * 1000, zone.peek()) : formatMinute(time_s * 1000, zone.peek());
}
