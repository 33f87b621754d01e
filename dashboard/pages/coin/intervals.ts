import { INTERVALS, type Interval } from "../../../src/pipeline/intervals.ts";

export function isInterval(text: string | null): text is Interval {
  return INTERVALS.some((interval) => interval === text);
}
