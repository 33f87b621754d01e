import type { RuleInput } from "../../src/alert/rule.ts";

export const default_rules = [
  {
    id: "sales-halved-10-minutes",
    name: "Sales of a store fell by half within 10 minutes",
    severity: "critical",
    subjects: "all",
    condition: { kind: "volume_fall", percent: 50, window_minutes: 10, baseline_windows: 1 },
    cooldown_seconds: 600,
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
