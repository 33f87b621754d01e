import type { StoredRule } from "../../../src/serve/schemas/alerts.ts";
import { formatExact } from "../../format/decimal.ts";

type Condition = StoredRule["condition"];

const DIRECTIONS: Record<string, string> = { fall: "down", rise: "up", either: "up or down" };

const CROSSES: Record<string, string> = { above: "rises above", below: "falls below", either: "crosses" };

/** Describes a condition in words. */
export function describeCondition(condition: Condition): string {
  switch (condition.kind) {
    case "change":
      return (
        `${DIRECTIONS[condition.direction] ?? condition.direction} more than ${condition.percent} % ` +
        `within ${condition.window_minutes} min`
      );
    case "crosses":
      return `price ${CROSSES[condition.direction] ?? condition.direction} ${formatExact(condition.level)} USD`;
    case "volume_spike":
      return (
        `traded volume of ${condition.window_minutes} min over ${condition.times}× ` +
        `the mean of the previous ${condition.baseline_windows} windows`
      );
    case "volatility":
      return `volatility above ${condition.percent} % per minute, over ${condition.window_minutes} min`;
    case "silent":
      return `${condition.source === "all" ? "any source" : condition.source} silent for ${condition.seconds} s`;
    case "lag":
      return `${condition.layer} more than ${condition.seconds} s behind the log`;
    case "failed":
      return `${condition.job === "all" ? "any job" : condition.job} failed`;
  }
}

/** Whether a kind of condition is about prices of coins, rather than sources, layers or jobs. */
export function isAboutPrices(kind: string): boolean {
  return kind !== "silent" && kind !== "lag" && kind !== "failed";
}

export function describeSubjects(
  { subjects, condition }: Pick<StoredRule, "subjects" | "condition">,
  nameOf: (id: string) => string,
): string {
  if (!isAboutPrices(condition.kind)) return "";
  if (subjects === "all") return "every coin";
  const names = subjects.slice(0, 3).map(nameOf).join(", ");
  return subjects.length > 3 ? `${names} and ${subjects.length - 3} more` : names;
}
