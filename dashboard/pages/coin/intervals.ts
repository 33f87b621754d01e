import type { Interval } from "../../../pipelines/crypto/api/schemas.ts";

export const INTERVALS_SHOWN: readonly Interval[] = ["1m", "5m", "15m", "1h", "4h", "1d"];

export function isInterval(text: string | null): text is Interval {
  return INTERVALS_SHOWN.some((interval) => interval === text);
}
