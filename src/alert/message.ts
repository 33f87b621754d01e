import type { Condition, Rule } from "./rule.ts";
import { textOf } from "./evaluate/decimal.ts";
import type { Direction } from "./alert.ts";

const MOST_DECIMALS = 6;

export interface Finding {
  subject: string;
  direction: Direction | null;
  value: bigint | null;
  reference: bigint | null;
  measure: number | null;
  /** The failure that a job reported. */
  failure?: string;
}

/** The alert in one sentence. */
export function messageFor(rule: Rule, finding: Finding): string {
  const { condition } = rule;
  const { subject, direction, value, reference, measure } = finding;
  const figure = measure === null ? "" : figureBeyond(measure, thresholdOf(condition));
  const price = value === null ? "" : textOf(value);
  switch (condition.kind) {
    case "change": {
      const verb = direction === "fall" ? "fell" : "rose";
      return (
        `${subject} ${verb} ${figure} % within ${minutes(condition.window_minutes)}: ` +
        `from ${reference === null ? "" : textOf(reference)} to ${price}`
      );
    }
    case "crosses":
      return `${subject} went ${direction ?? ""} ${condition.level}: ${price}`;
    case "volume_spike":
      return `${subject} reached ${figure} times its usual amount in ${minutes(condition.window_minutes)}`;
    case "volume_fall":
      return `${subject} fell ${figure} % below its usual amount in ${minutes(condition.window_minutes)}`;
    case "volatility":
      return `${subject} moved by ${figure} % a minute over ${minutes(condition.window_minutes)}`;
    case "silent":
      return `${subject} has been silent for ${figure} seconds`;
    case "lag":
      return `${subject} is ${figure} seconds behind the log`;
    case "failed":
      return `${subject} failed: ${finding.failure ?? "it did not say why"}`;
  }
}

/** `fires when …`: the condition in words. */
export function describeCondition(condition: Condition): string {
  switch (condition.kind) {
    case "change": {
      const verb = { fall: "falls", rise: "rises", either: "falls or rises" }[condition.direction];
      return `it ${verb} by more than ${condition.percent} % within ${minutes(condition.window_minutes)}`;
    }
    case "crosses":
      return `it goes ${condition.direction === "either" ? "above or below" : condition.direction} ${condition.level}`;
    case "volume_spike":
      return (
        `the amount of ${minutes(condition.window_minutes)} ` +
        `is more than ${condition.times} times ${baseline(condition)}`
      );
    case "volume_fall":
      return (
        `the amount of ${minutes(condition.window_minutes)} ` +
        `is at least ${condition.percent} % below ${baseline(condition)}`
      );
    case "volatility":
      return `it moves by more than ${condition.percent} % a minute over ${minutes(condition.window_minutes)}`;
    case "silent":
      return (
        `${condition.source === "all" ? "a source" : condition.source} ` +
        `is silent for more than ${condition.seconds} seconds`
      );
    case "lag":
      return `${condition.layer} is more than ${condition.seconds} seconds behind the log`;
    case "failed":
      return `${condition.job === "all" ? "a job" : condition.job} reports that it failed`;
  }
}

/** The threshold that the measure is compared with; null for a level, which is the reference. */
export function thresholdOf(condition: Condition): number | null {
  switch (condition.kind) {
    case "change":
    case "volume_fall":
    case "volatility":
      return condition.percent;
    case "volume_spike":
      return condition.times;
    case "silent":
    case "lag":
      return condition.seconds;
    case "crosses":
    case "failed":
      return null;
  }
}

/**
 * Formats the measure with two or more decimals, enough to differ from the threshold: "fell 5 %" would not be more than
 * 5 %.
 */
function figureBeyond(measure: number, threshold: number | null): string {
  for (let decimals = 2; ; decimals += 1) {
    const figure = measure.toLocaleString("en", { maximumFractionDigits: decimals });
    if (
      decimals >= MOST_DECIMALS ||
      threshold === null ||
      figure !== threshold.toLocaleString("en", { maximumFractionDigits: decimals })
    )
      return figure;
  }
}

function baseline({ baseline_windows, window_minutes }: { baseline_windows: number; window_minutes: number }): string {
  return baseline_windows === 1
    ? `that of the ${minutes(window_minutes)} before`
    : `the mean of the ${baseline_windows} windows before`;
}

function minutes(count: number): string {
  return count === 1 ? "1 minute" : `${count} minutes`;
}
