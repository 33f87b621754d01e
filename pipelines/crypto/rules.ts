import type { RuleInput } from "../../src/alert/rule.ts";

/**
 * The first rule is exactly question 4: it has no cooldown and no hysteresis, so it fires wherever the question finds a
 * fall.
 */
export const default_rules = [
  {
    id: "fall-5-percent-10-minutes",
    name: "Any coin down more than 5 % within 10 minutes",
    severity: "critical",
    subjects: "all",
    condition: { kind: "change", direction: "fall", percent: 5, window_minutes: 10 },
    cooldown_seconds: 0,
    hysteresis_percent: 0,
    sinks: ["page"],
  },
  {
    id: "job-failed",
    name: "An external job failed",
    severity: "critical",
    condition: { kind: "failed", job: "all" },
    sinks: ["page"],
  },
] satisfies readonly RuleInput[];
