import { formatAge, formatDate, formatMoment, formatNear, parseTime, zoneName, type Zone } from "../format/time.ts";
import { now_ms } from "../state/clock.ts";
import { zone } from "../state/settings.ts";
import { Missing } from "./figures.tsx";

/** A time in the chosen zone and in the other one, for tooltips. */
export function bothZones(at_ms: number): string {
  const other: Zone = zone.value === "utc" ? "local" : "utc";
  const inZone = (shown: Zone): string => `${formatMoment(at_ms, shown)} ${zoneName(shown, at_ms)}`;
  return `${inZone(zone.value)} · ${inZone(other)}`;
}

interface MomentProps {
  at: string | number | null;
  /** Always show date and zone; otherwise today's date is omitted. */
  is_full?: boolean;
  with_zone?: boolean;
  with_ms?: boolean;
}

export function Moment({ at, is_full = false, with_zone = false, with_ms = false }: MomentProps) {
  if (at === null) return <Missing why="not yet" />;
  const at_ms = typeof at === "number" ? at : parseTime(at);
  if (Number.isNaN(at_ms)) return <Missing why={`not a time: ${String(at)}`} />;
  const text = is_full ? formatMoment(at_ms, zone.value) : formatNear(at_ms, now_ms.value, zone.value);
  return (
    <time class="figure" dateTime={new Date(at_ms).toISOString()} title={bothZones(at_ms)}>
      {text}
      {with_ms ? <span class="muted">.{String(Math.floor(at_ms) % 1000).padStart(3, "0")}</span> : null}
      {with_zone || is_full ? <span class="unit"> {zoneName(zone.value, at_ms)}</span> : null}
    </time>
  );
}

/** Start of a candle; for a daily candle its UTC date, in every zone. */
export function CandleStart({ at, interval }: { at: string; interval: string }) {
  if (!interval.endsWith("d")) return <Moment at={at} is_full />;
  return (
    <time class="figure" dateTime={at}>
      {formatDate(parseTime(at), "utc")}
      <span class="unit"> UTC</span>
    </time>
  );
}

/** Time since `at`, updated every second. */
export function Age({ at, suffix = " ago" }: { at: string | number | null; suffix?: string }) {
  if (at === null) return <Missing why="not yet" />;
  const at_ms = typeof at === "number" ? at : parseTime(at);
  if (Number.isNaN(at_ms)) return <Missing why={`not a time: ${String(at)}`} />;
  return (
    <time class="figure" dateTime={new Date(at_ms).toISOString()} title={bothZones(at_ms)}>
      {formatAge(now_ms.value - at_ms)}
      {suffix}
    </time>
  );
}

/** Counts down to a time of the viewer's clock. */
export function Countdown({ to_ms }: { to_ms: number }) {
  void now_ms.value;
  return <span class="figure">{Math.max(0, Math.ceil((to_ms - Date.now()) / 1000))} s</span>;
}
