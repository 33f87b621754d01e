import type { Condition } from "../rule.ts";
import { millionthsOf, unitsOf } from "./decimal.ts";
import type { Gauge, Memo, Reading } from "./condition.ts";

type Crosses = Extract<Condition, { kind: "crosses" }>;

const WHOLE = 100_000_000n;

/**
 * A crossing lies between two ticks that follow each other in the order of events: the one before was not beyond the level, this one
 * is. So the first tick that a rule sees crosses nothing, and a late tick, which follows nobody, does not either.
 */
export function crossingGauge({ direction, level }: Crosses, hysteresis_percent: number): Gauge {
  const limit = unitsOf(level);
  const margin = millionthsOf(hysteresis_percent);

  return {
    read({ value }, arrival, _history, memo) {
      const beyond = { above: value > limit, below: value < limit };
      const back = {
        above: value * WHOLE <= limit * (WHOLE - margin),
        below: value * WHOLE >= limit * (WHOLE + margin),
      };
      const readings: Reading[] = (["above", "below"] as const)
        .filter((side) => direction === "either" || direction === side)
        .map((side) => ({
          direction: side,
          is_held: beyond[side],
          is_opening: beyond[side] && arrival === "newest" && memo[side] === 0,
          is_back: back[side],
          measure: null,
          reference: limit,
        }));
      return { readings, memo: arrival === "newest" ? remembered(memo, beyond) : memo };
    },
  };
}

/** 1 where the last tick was beyond, 0 where it was not. */
function remembered(memo: Memo, { above, below }: { above: boolean; below: boolean }): Memo {
  const [is_above, is_below] = [Number(above), Number(below)];
  return memo["above"] === is_above && memo["below"] === is_below ? memo : { above: is_above, below: is_below };
}
