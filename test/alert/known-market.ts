import type { Rule } from "../../src/alert/rule.ts";
import { parseRule } from "../../src/alert/rule.ts";
import type { Tick } from "../../src/pipeline/definition.ts";
import { FALL, ticksOf } from "./streams.ts";

export const TICKS = 4_000;
const SUBJECTS = 20;

/**
 * The same ticks in every process: prices that repeatedly fall by more than 5 % within minutes, with some late ticks.
 */
export function knownMarket(): { ticks: Tick[]; rule: Rule } {
  let state = 7;
  const random = () => {
    // Numerical Recipes' linear congruential generator; any generator would do if it yields the same numbers
    // everywhere.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const ticks = Array.from({ length: TICKS }, (_, index) => ({
    subject: `coin-${Math.floor(random() * SUBJECTS)}`,
    at_us: index * 1_000_000 - (random() < 0.2 ? Math.floor(random() * 60_000_000) : 0),
    value: String(10_000 - Math.floor(random() ** 12 * 1_200)),
  }));
  return { ticks: ticksOf(ticks), rule: parseRule({ id: "fall", name: "Falls", condition: FALL }) };
}
