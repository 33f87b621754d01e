import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { is_whole } from "../support/whole.ts";
import { marketData } from "../support/market-data.ts";

export interface Recording {
  /** A file of candles, ordered by any column. */
  file: string;
  candle_minutes: number;
  products: number;
  /** UTC dates that a usual run replays; the whole file has more. */
  days: readonly [first: string, last: string];
  whole_days: number;
}

const DAY_MS = 86_400_000;
const TICKS_OF_A_CANDLE = 4;

/** Hours and price updates that a replay must yield: the recordings have every candle of their days. */
export function expectedOf({ days, whole_days, products, candle_minutes }: Recording): {
  hours: number;
  updates: number;
} {
  const [first_ms, last_ms] = boundsOf(days);
  const hours = (is_whole ? whole_days : (last_ms - first_ms) / DAY_MS) * 24 * products;
  return { hours, updates: hours * (60 / candle_minutes) * TICKS_OF_A_CANDLE };
}

/** Path of the recording; a cut one is written to the folder. */
export function recordingIn(folder: string, { file, days }: Recording): string {
  const whole = marketData(file) ?? "";
  if (is_whole) return whole;
  const [first_ms, end_ms] = boundsOf(days);
  const [header = "", ...lines] = gunzipSync(readFileSync(whole)).toString("utf8").trimEnd().split("\n");
  const kept = lines.filter((line) => {
    const at_ms = Number(line.split(",")[1]);
    return at_ms >= first_ms && at_ms < end_ms;
  });
  const path = join(folder, file);
  writeFileSync(path, gzipSync([header, ...kept, ""].join("\n")));
  return path;
}

function boundsOf([first, last]: Recording["days"]): [from_ms: number, to_ms: number] {
  return [Date.parse(first), Date.parse(last) + DAY_MS];
}
