/** Intervals of candles and charts, in seconds; each is aligned to 1970-01-01T00:00:00Z. */
export const INTERVAL_S = {
  "1m": 60,
  "5m": 300,
  "15m": 900,
  "1h": 3_600,
  "4h": 14_400,
  "1d": 86_400,
} as const;

export type Interval = keyof typeof INTERVAL_S;

export const INTERVALS = ["1m", "5m", "15m", "1h", "4h", "1d"] as const satisfies readonly Interval[];
