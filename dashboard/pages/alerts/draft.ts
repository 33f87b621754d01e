import type { Rule, StoredRule } from "../../../src/serve/schemas/alerts.ts";
import type { PipelineInfo } from "../../../src/serve/schemas/definition.ts";
import { isAboutSubjects } from "./describe.ts";

export type Kind = Rule["condition"]["kind"];

/** The kinds of conditions in words. */
export function kindNames({ value, amount }: Pick<PipelineInfo, "value" | "amount">): Readonly<Record<Kind, string>> {
  const a_value = `${/^[aeiou]/i.test(value.noun) ? "an" : "a"} ${value.noun}`;
  return {
    change: `${a_value} changes`,
    crosses: `${a_value} crosses a level`,
    volume_spike: `a jump in ${amount.noun}`,
    volume_fall: `a fall in ${amount.noun}`,
    volatility: "volatility is high",
    silent: "a source is silent",
    lag: "a layer lags",
    failed: "an external job fails",
  };
}

/** A rule in the form. The fields of all kinds are text, so that switching the kind loses no input. */
export interface Draft {
  name: string;
  severity: string;
  kind: string;
  subjects: readonly string[];
  direction: string;
  side: string;
  level: string;
  percent: string;
  window_minutes: string;
  times: string;
  baseline_windows: string;
  source: string;
  layer: string;
  job: string;
  seconds: string;
  cooldown_seconds: string;
  hysteresis_percent: string;
  sinks: readonly string[];
  is_recovery_notified: boolean;
}

const NEW_RULE: Draft = {
  name: "",
  severity: "warning",
  kind: "change",
  subjects: [],
  direction: "fall",
  side: "above",
  level: "",
  percent: "5",
  window_minutes: "10",
  times: "5",
  baseline_windows: "12",
  source: "all",
  layer: "gold",
  job: "all",
  seconds: "60",
  cooldown_seconds: "0",
  hysteresis_percent: "0",
  sinks: [],
  is_recovery_notified: true,
};

export function draftOf(rule: StoredRule | null): Draft {
  if (rule === null) return NEW_RULE;
  const { direction, ...condition } = { direction: "", ...rule.condition };
  const typed = Object.fromEntries(Object.entries(condition).map(([name, value]) => [name, String(value)]));
  return {
    ...NEW_RULE,
    ...typed,
    ...(rule.condition.kind === "crosses"
      ? { side: direction }
      : rule.condition.kind === "change"
        ? { direction }
        : {}),
    name: rule.name,
    severity: rule.severity,
    subjects: rule.subjects === "all" ? [] : rule.subjects,
    cooldown_seconds: String(rule.cooldown_seconds),
    hysteresis_percent: String(rule.hysteresis_percent),
    sinks: rule.sinks.filter((sink) => sink !== "page"),
    is_recovery_notified: rule.is_recovery_notified,
  };
}

/**
 * Normalises a typed number for the API: 100,000 and 100 000 become 100000, a dollar sign or unit is dropped. Other
 * text is kept, and the server rejects it: 1,5 may mean one and a half or fifteen.
 */
export function plainNumber(text: string): string {
  const bare = text
    .trim()
    .replace(/^\$\s*/, "")
    .replace(/\s*(?:USD|\$|%|s|×)$/i, "");
  return /^\d{1,3}(?:([, _’'\u00a0\u202f])\d{3})(?:\1\d{3})*(?:\.\d+)?$/.test(bare)
    ? bare.replace(/[, _’'\u00a0\u202f]/g, "")
    : bare;
}

const numberOf = (text: string) => Number(plainNumber(text) || Number.NaN);

/** The rule sent to the server, which validates it. */
export function ruleOf(draft: Draft, before: StoredRule | null): Omit<Rule, "id"> & { id?: string } {
  const { subjects } = draft;
  return {
    ...(before === null ? {} : { id: before.id }),
    name: draft.name,
    is_enabled: before?.is_enabled ?? true,
    severity: draft.severity as Rule["severity"],
    subjects: subjects.length === 0 || !isAboutSubjects(draft.kind) ? "all" : [...subjects],
    condition: conditionOf(draft),
    cooldown_seconds: numberOf(draft.cooldown_seconds),
    hysteresis_percent: numberOf(draft.hysteresis_percent),
    is_recovery_notified: draft.is_recovery_notified,
    sinks: ["page", ...draft.sinks],
  };
}

function conditionOf(draft: Draft): Rule["condition"] {
  const window_minutes = numberOf(draft.window_minutes);
  const percent = numberOf(draft.percent);
  const seconds = numberOf(draft.seconds);
  switch (draft.kind as Kind) {
    case "change":
      return { kind: "change", direction: draft.direction as "fall", percent, window_minutes };
    case "crosses":
      return { kind: "crosses", direction: draft.side as "above", level: plainNumber(draft.level) };
    case "volume_spike":
      return {
        kind: "volume_spike",
        window_minutes,
        times: numberOf(draft.times),
        baseline_windows: numberOf(draft.baseline_windows),
      };
    case "volume_fall":
      return {
        kind: "volume_fall",
        window_minutes,
        percent,
        baseline_windows: numberOf(draft.baseline_windows),
      };
    case "volatility":
      return { kind: "volatility", window_minutes, percent };
    case "silent":
      return { kind: "silent", seconds, source: draft.source.trim() };
    case "lag":
      return { kind: "lag", layer: draft.layer as "gold", seconds };
    case "failed":
      return { kind: "failed", job: draft.job.trim() };
  }
}
