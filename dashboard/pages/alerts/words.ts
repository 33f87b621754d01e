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
  }
}

export function saySubjects({ subjects, condition }: Pick<StoredRule, "subjects" | "condition">): string {
  if (condition.kind === "silent" || condition.kind === "lag") return "";
  if (subjects === "all") return "every coin";
  return subjects.length > 3 ? `${subjects.slice(0, 3).join(", ")} and ${subjects.length - 3} more` : subjects.join(", ");
}
