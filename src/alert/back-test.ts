import { setImmediate } from "node:timers/promises";
import { isoFromMicros } from "../base/clock.ts";
import { OperatingError } from "../base/errors.ts";
import { parseInstant_us } from "../base/instant.ts";
import type { Alert } from "./alert.ts";
import { AlertEvaluator } from "./evaluate/evaluator.ts";
import { RuleEvaluator } from "./evaluate/rule-evaluator.ts";
import type { BackTest, BackTestRange } from "./facade.ts";
import type { TickHistory } from "./history.ts";
import { parseNewRule, slugOf, type StoredRule } from "./rule.ts";

const LISTED_ALERTS = 1_000;

/**
 * Evaluates a rule on the lake's accepted ticks in log order, with the code that evaluates live ticks, and returns the
 * alerts that it would have fired. Writes nothing. Throws INVALID_RULE, INVALID_TIME, NOT_TESTABLE.
 */
export async function backTest(
  history: TickHistory,
  json: object,
  options: BackTestRange & { now_us: number; lateness_s: number },
): Promise<BackTest> {
  const rule = testedRule(json);
  const rule_evaluator = RuleEvaluator.over(rule);
  if (rule_evaluator === null) {
    throw new OperatingError(
      "NOT_TESTABLE",
      `A rule of kind ${rule.condition.kind} is not judged by ticks, and the lake does not keep what it saw`,
      {
        next_step: "Test rules on ticks: change, crosses, volume_spike, volume_fall or volatility.",
      },
    );
  }
  const from_us = options.from === undefined ? null : parseInstant_us(options.from);
  const to_us = options.to === undefined ? null : parseInstant_us(options.to);
  const evaluator = new AlertEvaluator([rule_evaluator], options.lateness_s);
  const limit = options.limit ?? LISTED_ALERTS;
  const range = {
    ...(from_us === null ? {} : { since_us: from_us - evaluator.history_us }),
    ...(to_us === null ? {} : { until_us: to_us }),
  };
  const fired = new Map<string, Alert>();
  const subjects = new Set<string>();
  let [ticks, count, first_us, last_us] = [0, 0, Infinity, -Infinity];
  for await (const page of history.pages(range)) {
    for (const tick of page) {
      // Ticks before the range fill the windows. Episodes that start there are not counted.
      const { events } = evaluator.evaluate(tick, options.now_us);
      if (from_us !== null && tick.at_us < from_us) continue;
      ticks += 1;
      subjects.add(tick.subject);
      [first_us, last_us] = [Math.min(first_us, tick.at_us), Math.max(last_us, tick.at_us)];
      for (const { event, alert } of events) {
        const is_listed = event === "fired" ? fired.size < limit : fired.has(alert.id);
        if (event === "fired") count += 1;
        if (is_listed) fired.set(alert.id, alert);
      }
    }
    await setImmediate();
  }
  // Open alerts have changed since they fired.
  for (const [, { active }] of rule_evaluator.states.changes())
    if (active !== null && fired.has(active.id)) fired.set(active.id, active);
  const { revision: _revision, created_at: _created_at, updated_at: _updated_at, ...tested } = rule;
  return {
    rule: tested,
    from: ticks === 0 ? null : isoFromMicros(first_us),
    to: ticks === 0 ? null : isoFromMicros(last_us),
    ticks,
    subjects: subjects.size,
    fired: count,
    alerts: [...fired.values()],
  };
}

function testedRule(json: object): StoredRule {
  const { revision: _revision, created_at: _created_at, updated_at: _updated_at, ...own } = json as Partial<StoredRule>;
  const rule = parseNewRule(own);
  return { ...rule, id: rule.id ?? slugOf(rule.name), revision: 0, created_at: "", updated_at: "" };
}
