import * as fc from "fast-check";
import type { Tick } from "../../src/pipeline/definition.ts";
import { unitsOf } from "../../src/alert/evaluate/decimal.ts";
import { parseRule, type RuleInput, type StoredRule } from "../../src/alert/rule.ts";

export const MINUTE_US = 60_000_000;
export const START_US = Date.parse("2026-01-05T00:00:00Z") * 1000;

export const FALL = { kind: "change", direction: "fall", percent: 5, window_minutes: 10 } as const;

export function ruleOf(input: Partial<RuleInput> & Pick<RuleInput, "condition">): StoredRule {
  const at = "2026-01-01T00:00:00.000000Z";
  return { ...parseRule({ id: "rule", name: "A rule", ...input }), revision: 1, created_at: at, updated_at: at };
}

export interface TestTick {
  subject?: string;
  /** Microseconds after the start. */
  at_us: number;
  value: string | bigint;
  amount?: string;
  source?: string;
  product?: string;
  number?: bigint;
}

/**
 * Ticks as the live tail yields them, in order of arrival. The ingestion time of a tick is its event time, or that of a
 * newer tick before it.
 */
export function ticksOf(ticks: readonly TestTick[], first_offset = 0): Tick[] {
  let clock_us = START_US;
  return ticks.map(({ subject = "a", at_us, value, amount, source = "test", product = null, number = null }, index) => {
    clock_us = Math.max(clock_us, START_US + at_us);
    return {
      subject,
      source,
      product,
      number,
      value: typeof value === "bigint" ? value : unitsOf(value),
      amount: amount === undefined ? null : unitsOf(amount),
      at_us: START_US + at_us,
      ingested_at_us: clock_us,
      partition: 0,
      offset: first_offset + index,
      element_index: 0,
    };
  });
}

/**
 * A market of a few subjects with price changes around the thresholds of the rules in these tests, in event order or
 * nearly so.
 */
export function arbitraryTicks(options: { is_in_order: boolean; max_ticks?: number }): fc.Arbitrary<Tick[]> {
  const step = fc.record({
    subject: fc.constantFrom("a", "b", "c"),
    // Includes equal times.
    pause_us: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 3 * MINUTE_US })),
    late_us: options.is_in_order
      ? fc.constant(0)
      : fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 6 * MINUTE_US })),
    value: fc.oneof(fc.integer({ min: 9_300, max: 10_100 }), fc.constantFrom(9_500, 10_000, 9_499, 9_501)),
    amount: fc.integer({ min: 0, max: 1_000 }),
    product: fc.constantFrom("x", "y"),
    number: fc.bigInt({ min: 2n ** 53n, max: 2n ** 53n + 9n }),
  });
  return fc.array(step, { minLength: 1, maxLength: options.max_ticks ?? 120, size: "max" }).map((steps) => {
    let now_us = 0;
    return ticksOf(
      steps.map(({ subject, pause_us, late_us, value, amount, product, number }) => {
        now_us += pause_us;
        return { subject, at_us: now_us - late_us, value: String(value), amount: String(amount), product, number };
      }),
    );
  });
}
