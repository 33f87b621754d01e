import type { StoredRule } from "../../../src/serve/schemas/alerts.ts";

type Condition = StoredRule["condition"];

const DIRECTIONS: Record<string, string> = { fall: "down", rise: "up", either: "up or down" };

/** A condition as people say it. */
export function sayCondition(condition: Condition): string {
  switch (condition.kind) {
    case "change":
      return `${DIRECTIONS[condition.direction] ?? condition.direction} more than ${condition.percent} % within ${condition.window_minutes} min`;
    case "crosses":
      return `price crosses ${condition.level} USD${condition.direction === "either" ? "" : `, to ${condition.direction}`}`;
    case "volume_spike":
      return `traded volume of ${condition.window_minutes} min over ${condition.times}× the mean of the ${condition.baseline_windows} windows before`;
    case "volatility":
      return `volatility over ${condition.percent} % a minute, within ${condition.window_minutes} min`;
    case "silent":
      return `${condition.source === "all" ? "any source" : condition.source} silent for ${condition.seconds} s`;
    case "lag":
      return `${condition.layer} more than ${condition.seconds} s behind the log`;
    case "failed":
      return `${condition.job === "all" ? "any job" : condition.job} failed`;
  }
}

/** The subjects of the others are sources, layers or jobs, not coins. */
export function isOfTicks(kind: string): boolean {
  return kind !== "silent" && kind !== "lag" && kind !== "failed";
}

export function saySubjects({ subjects, condition }: Pick<StoredRule, "subjects" | "condition">): string {
  if (!isOfTicks(condition.kind)) return "";
  if (subjects === "all") return "every coin";
  return subjects.length > 3 ? `${subjects.slice(0, 3).join(", ")} and ${subjects.length - 3} more` : subjects.join(", ");
}
