import { z } from "zod";
import { OperatingError } from "../base/errors.ts";

/**
 * An alert rule as data: the same JSON in the store, on the wire and on the command line. The schema documents each
 * kind of condition; `evaluate/` computes it.
 */

/** Windows are in memory for each subject, so a rule may look back at most two days of minutes. */
export const LONGEST_WINDOW_MINUTES = 1_440;
const LONGEST_BASELINE_MINUTES = 2_880;

const DECIMAL = /^\d{1,20}(\.\d{1,24})?$/;
const SLUG = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;

const slug = z.string().regex(SLUG, "lower-case letters, digits and hyphens, at most 64");

/** Exact to a millionth: `evaluate/` calculates with whole numbers. */
const percent = (most: number) =>
  z
    .number()
    .positive()
    .max(most)
    .refine((value) => /^\d+(\.\d{1,6})?$/.test(String(value)), "at most six decimals");

const window_minutes = z.number().int().min(1).max(LONGEST_WINDOW_MINUTES);
const seconds = z.number().int().min(1).max(86_400);

const change = z.strictObject({
  kind: z.literal("change"),
  direction: z.enum(["fall", "rise", "either"]),
  percent: percent(10_000).describe("strictly more than this many per cent of the highest (fall) or lowest (rise)"),
  window_minutes: window_minutes.describe(
    "against the highest or lowest of this many minutes up to and including the tick itself",
  ),
});

const crosses = z.strictObject({
  kind: z.literal("crosses"),
  direction: z.enum(["above", "below", "either"]),
  level: z
    .string()
    .regex(DECIMAL, 'a decimal as text, such as "20000" or "0.000012"')
    .describe("the tick before was not beyond it, this one is"),
});

const volume_spike = z.strictObject({
  kind: z.literal("volume_spike"),
  window_minutes: window_minutes.describe("whole minutes, the running one included"),
  times: z.number().min(1).max(10_000).describe("strictly more than this many times the mean of the windows before"),
  baseline_windows: z.number().int().min(1).max(100),
});

const volume_fall = z.strictObject({
  kind: z.literal("volume_fall"),
  window_minutes: window_minutes.describe("ended minutes, without the running one"),
  percent: percent(100).describe("at least this many per cent below the mean of the windows before"),
  baseline_windows: z.number().int().min(1).max(100).describe("each must have an amount above zero"),
});

const volatility = z.strictObject({
  kind: z.literal("volatility"),
  window_minutes: z
    .number()
    .int()
    .min(3)
    .max(LONGEST_WINDOW_MINUTES)
    .describe("ended minutes; half of them must have a return"),
  percent: percent(1_000).describe(
    "sample standard deviation of one-minute log returns, strictly above this many per cent",
  ),
});

const silent = z.strictObject({
  kind: z.literal("silent"),
  seconds: seconds.describe("no message of the source, heartbeats included, for longer than this"),
  source: z.string().min(1).max(100).describe('a source by name, or "all" for each'),
});

const lag = z.strictObject({
  kind: z.literal("lag"),
  layer: z.enum(["bronze", "silver", "gold", "live"]),
  seconds: seconds.describe("the layer is behind the log by longer than this"),
});

const failed = z.strictObject({
  kind: z.literal("failed"),
  job: z
    .string()
    .min(1)
    .max(100)
    .describe('what runs beside the pipeline and reports how it went (`alerts report`), by name, or "all" for each'),
});

export const conditionSchema = z.discriminatedUnion("kind", [
  change,
  crosses,
  volume_spike,
  volume_fall,
  volatility,
  silent,
  lag,
  failed,
]);
export type Condition = z.output<typeof conditionSchema>;
export const CONDITION_KINDS = conditionSchema.options.map(({ shape }) => shape.kind.value);

/** The other kinds have sources, layers or jobs as subjects. */
function isOfTicks({ kind }: Condition): boolean {
  return kind !== "silent" && kind !== "lag" && kind !== "failed";
}

export const severitySchema = z.enum(["info", "warning", "critical"]);

const fields = z.strictObject({
  id: slug.describe("stable: alerts name the rule by it"),
  name: z.string().trim().min(1).max(120),
  is_enabled: z.boolean().default(true),
  severity: severitySchema.default("warning"),
  subjects: z.union([z.literal("all"), z.array(z.string().min(1).max(200)).min(1).max(1_000)]).default("all"),
  condition: conditionSchema,
  cooldown_seconds: z
    .number()
    .int()
    .min(0)
    .max(604_800)
    .default(0)
    .describe("at least this long, in event time, between two alerts of one subject"),
  hysteresis_percent: z
    .number()
    .min(0)
    .max(99)
    .refine((value) => /^\d+(\.\d{1,6})?$/.test(String(value)), "at most six decimals")
    .default(0)
    .describe(
      "an episode ends only when the measure is back inside the threshold by this many per cent of the threshold",
    ),
  is_recovery_notified: z.boolean().default(true),
  sinks: z.array(slug).max(20).default(["page"]).describe('ids of sinks; "page" is always there'),
});

/** Checks that involve several fields. */
function checkTogether(rule: { condition: Condition; subjects: unknown }, context: z.core.$RefinementCtx): void {
  const { condition } = rule;
  const reject = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
  if (condition.kind === "change" && condition.direction !== "rise" && condition.percent >= 100) {
    reject(["condition", "percent"], "nothing falls by 100 per cent or more");
  }
  if (
    (condition.kind === "volume_spike" || condition.kind === "volume_fall") &&
    (condition.baseline_windows + 1) * condition.window_minutes > LONGEST_BASELINE_MINUTES
  ) {
    reject(
      ["condition", "baseline_windows"],
      `window and baseline together may span at most ${LONGEST_BASELINE_MINUTES} minutes`,
    );
  }
  if (!isOfTicks(condition) && rule.subjects !== "all") {
    reject(["subjects"], `a rule of kind ${condition.kind} has no subjects but "all"`);
  }
}

export const ruleSchema = fields.superRefine(checkTogether);
/** A new rule. Without an id it gets one from its name. */
export const newRuleSchema = fields.partial({ id: true }).superRefine(checkTogether);

/** A rule with the fields that the store adds. */
export const storedRuleSchema = fields.extend({
  revision: z.number().int().describe("1 at first, one more with each edit"),
  created_at: z.iso.datetime({ precision: 6 }),
  updated_at: z.iso.datetime({ precision: 6 }),
});

export type Rule = z.output<typeof ruleSchema>;
export type RuleInput = z.input<typeof newRuleSchema>;
export type StoredRule = z.output<typeof storedRuleSchema>;

/** Throws INVALID_RULE that names the field. */
export function parseRule(json: unknown): Rule {
  return checked(ruleSchema.safeParse(withTextLevel(json)));
}

/** Throws INVALID_RULE that names the field. */
export function parseNewRule(json: unknown): Omit<Rule, "id"> & { id?: string | undefined } {
  return checked(newRuleSchema.safeParse(withTextLevel(json)));
}

function checked<T>(parsed: { success: true; data: T } | { success: false; error: z.ZodError }): T {
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join(".") || "the rule";
  throw badRule(`${field}: ${issue?.message ?? "not valid"}`);
}

/** Accepts levels typed as numbers. A number that prints as a plain decimal equals the typed text exactly. */
function withTextLevel(json: unknown): unknown {
  if (typeof json !== "object" || json === null || !("condition" in json)) return json;
  const { condition } = json;
  if (
    typeof condition !== "object" ||
    condition === null ||
    !("level" in condition) ||
    typeof condition.level !== "number"
  )
    return json;
  return { ...json, condition: { ...condition, level: String(condition.level) } };
}

export function badRule(message: string): OperatingError {
  return new OperatingError("INVALID_RULE", `Not a valid rule: ${message}`, {
    next_step: "Correct that field; `npm run -s coinlake -- rules add --help` shows a rule of each kind.",
  });
}

/** `Any coin down 5 %` → `any-coin-down-5`. */
export function slugOf(name: string): string {
  const text = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 56)
    .replace(/^-+|-+$/g, "");
  return text || "rule";
}
