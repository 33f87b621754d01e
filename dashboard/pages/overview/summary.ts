import { INTERVAL_S, type Interval } from "../../../src/pipeline/intervals.ts";
import type { ChartInfo, ChartValues } from "../../../src/serve/schemas/charts.ts";
import { compareDecimals } from "../../format/decimal.ts";
import { formatDate, formatMoment, formatSpan, zoneName } from "../../format/time.ts";
import { zone } from "../../state/settings.ts";
import { nameOfSubject } from "../../state/subjects.ts";
import { formatSum } from "./value.tsx";

export function intervalText(interval: Interval): string {
  return formatSpan(INTERVAL_S[interval]);
}

/** Describes a chart for screen readers. */
export function summaryOf(chart: ChartInfo, values: ChartValues, plural: string): string {
  const { series, interval, subject } = values;
  const of = chart.has_subject_option ? `, ${subject === null ? `all ${plural}` : nameOfSubject(subject)}` : "";
  const described = series.flatMap(({ name, points }) => {
    const [first, last] = [points[0], points.at(-1)];
    if (first === undefined || last === undefined) return [];
    const ordered = points.map(({ value }) => value).sort(compareDecimals);
    const low = formatSum(ordered[0] ?? "") ?? "";
    const high = formatSum(ordered.at(-1) ?? "") ?? "";
    return (
      `${name === "" ? "" : `${name}: `}${points.length} intervals of ${intervalText(interval)} ` +
      `from ${moment(first.time, interval)} to ${moment(last.time, interval)}; ` +
      `low ${low}, high ${high}, last ${formatSum(last.value) ?? ""}`
    );
  });
  if (described.length === 0) return `${chart.title}${of}: no values`;
  return `${chart.title} in ${chart.unit}${of}: ${described.join("; ")}. Arrow keys move between intervals.`;
}

function moment(time: string, interval: Interval): string {
  const at_ms = Date.parse(time);
  return interval.endsWith("d")
    ? `${formatDate(at_ms, "utc")} UTC`
    : `${formatMoment(at_ms, zone.value)} ${zoneName(zone.value, at_ms)}`;
}
