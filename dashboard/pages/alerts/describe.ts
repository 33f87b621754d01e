import type { StoredRule } from "../../../src/serve/schemas/alerts.ts";
import type { PipelineInfo } from "../../../src/serve/schemas/definition.ts";
import { formatExact } from "../../format/decimal.ts";

type Condition = StoredRule["condition"];
/** The pipeline's words. */
type Nouns = Pick<PipelineInfo, "value" | "amount" | "subject">;

const DIRECTIONS: Record<string, string> = { fall: "down", rise: "up", either: "up or down" };

const CROSSES: Record<string, string> = { above: "rises above", below: "falls below", either: "crosses" };

/** Describes a condition in words. */
export function describeCondition(condition: Condition, { value, amount }: Nouns): string {
  switch (condition.kind) {
    case "change":
      return (
        `${DIRECTIONS[condition.direction] ?? condition.direction} more than ${condition.percent} % ` +
        `within ${condition.window_minutes} min`
      );
    case "crosses":
      return (
        `${value.noun} ${CROSSES[condition.direction] ?? condition.direction} ` +
        `${formatExact(condition.level)} ${value.unit}`
      );
    case "volume_spike":
      return (
        `with ${amount.noun} of ${condition.window_minutes} min over ${condition.times}× ` +
        `the mean of the previous ${condition.baseline_windows} windows`
      );
    case "volume_fall":
      return (
        `with ${amount.noun} of ${condition.window_minutes} min at least ${condition.percent} % below ` +
        (condition.baseline_windows === 1
          ? `the previous ${condition.window_minutes} min`
          : `the mean of the previous ${condition.baseline_windows} windows`)
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

/** Whether a kind of condition is about the pipeline's subjects, rather than sources, layers or jobs. */
export function isAboutSubjects(kind: string): boolean {
  return kind !== "silent" && kind !== "lag" && kind !== "failed";
}

export function describeSubjects(
  { subjects, condition }: Pick<StoredRule, "subjects" | "condition">,
  { subject }: Pick<Nouns, "subject">,
  nameOf: (id: string) => string,
): string {
  if (!isAboutSubjects(condition.kind)) return "";
  if (subjects === "all") return `every ${subject.noun}`;
  const names = subjects.slice(0, 3).map(nameOf).join(", ");
  return subjects.length > 3 ? `${names} and ${subjects.length - 3} more` : names;
}
