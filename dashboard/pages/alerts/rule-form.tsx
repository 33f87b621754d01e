import { computed, useSignal, type Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { sentence } from "../../../src/base/explain.ts";
import type { Rule, Sink, StoredRule } from "../../../src/serve/schemas/alerts.ts";
import type { Page } from "../../../src/serve/schemas/values.ts";
import { InlineCode } from "../../components/inline-code.tsx";
import { ApiError, call } from "../../state/api.ts";
import { pipelineInfo } from "../../state/pipeline.ts";
import { useResource } from "../../state/resource.ts";
import { subjects } from "../../state/subjects.ts";
import { Choices } from "./choices.tsx";
import { draftOf, kindNames, plainNumber, ruleOf, type Draft } from "./draft.ts";
import { isAboutSubjects } from "./describe.ts";

interface FormProps {
  /** Null for a new rule. */
  rule: StoredRule | null;
  done: () => void;
  cancel: () => void;
}

/** A form for a rule; the server validates it, and its error is shown below the form. */
export function RuleForm({ rule, done, cancel }: FormProps) {
  const draft = useSignal<Draft>(draftOf(rule));
  const error = useSignal<ApiError | null>(null);
  const is_saving = useSignal(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    is_saving.value = true;
    error.value = null;
    try {
      const body: Omit<Rule, "id"> & { id?: string } = ruleOf(draft.value, rule);
      if (rule === null) await call("POST", "/api/rules", body);
      else await call("PUT", `/api/rules/${encodeURIComponent(rule.id)}`, body);
      done();
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      error.value = failure;
    } finally {
      is_saving.value = false;
    }
  };
  return (
    <form class="rule-form" onSubmit={(event) => void submit(event)}>
      <RuleFields draft={draft} />
      {error.value === null ? null : <RuleError error={error.value} />}
      <p class="form-foot">
        <button type="submit" class="button primary" disabled={is_saving.value}>
          {rule === null ? "Create rule" : "Save"}
        </button>
        <button type="button" class="button" onClick={cancel}>
          Cancel
        </button>
        <span class="note">
          {rule === null
            ? "Applies from now; “Test on history” shows the past."
            : "Saving resets the rule: its open episodes end."}
        </span>
      </p>
    </form>
  );
}

function RuleFields({ draft }: { draft: Signal<Draft> }) {
  const info = pipelineInfo();
  const kinds = kindNames(info);
  return (
    <div class="fields">
      <Field label="Name" wide>
        <Text draft={draft} name="name" is_required />
      </Field>
      <Field label="Severity">
        <Choice draft={draft} name="severity" options={["info", "warning", "critical"]} />
      </Field>
      <Field label="When">
        <Choice draft={draft} name="kind" options={Object.keys(kinds)} names={kinds} />
      </Field>
      <ConditionFields draft={draft} />
      {isAboutSubjects(draft.value.kind) ? (
        <Choices
          label={capitalised(info.subject.plural)}
          none={`all ${info.subject.plural}`}
          options={subject_options.value}
          chosen={draft.value.subjects}
          choose={(subjects) => (draft.value = { ...draft.value, subjects })}
        />
      ) : null}
      <Field label="Minimum time between alerts (s)">
        <NumberBox draft={draft} name="cooldown_seconds" />
      </Field>
      <Field label="Recovery margin (% of threshold)">
        <NumberBox draft={draft} name="hysteresis_percent" />
      </Field>
      <Sinks draft={draft} />
      <label class="check">
        <input
          type="checkbox"
          checked={draft.value.is_recovery_notified}
          onChange={(event) => (draft.value = { ...draft.value, is_recovery_notified: event.currentTarget.checked })}
        />
        Notify on recovery too
      </label>
    </div>
  );
}

/** The server's error for a rule, without its prefix. */
export function RuleError({ error }: { error: ApiError }) {
  return (
    <p class="form-error" role="alert">
      {sentence(error.message.replace(/^Not a valid rule: (?:condition\.)?/, ""))}{" "}
      <span class="muted">{error.code === "INVALID_RULE" ? null : <InlineCode text={error.next_step} />}</span>
    </p>
  );
}

/**
 * Channels besides the dashboard; they are created on the command line, because they hold a secret or run a program.
 */
function Sinks({ draft }: { draft: Signal<Draft> }) {
  const found = useResource<Page<Sink>>("/api/sinks?limit=500").state.value.value;
  const options = (found?.items ?? [])
    .filter(({ kind }) => kind !== "page")
    .map(({ id, kind, target }) => ({ value: id, name: id, also: [kind, target] }));
  if (found !== null && options.length === 0 && draft.value.sinks.length === 0) {
    return (
      <div class="field wide">
        <span>Also notify</span>
        <p class="note">
          No channels yet: add one with <code>npm run -s coinlake -- rules sinks add</code>
        </p>
      </div>
    );
  }
  return (
    <Choices
      label="Also notify"
      none="choose a channel"
      options={options}
      chosen={draft.value.sinks}
      choose={(sinks) => (draft.value = { ...draft.value, sinks })}
    />
  );
}

const subject_options = computed(() =>
  subjects.value.map(({ id, name, symbol }) => ({ value: id, name, also: [symbol] })),
);

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

const PERCENT_LABELS = {
  change: "Threshold (%)",
  volatility: "Threshold (% per minute)",
  volume_fall: "Threshold (% below the mean)",
} as const;

function ConditionFields({ draft }: { draft: Signal<Draft> }) {
  const { kind } = draft.value;
  return (
    <>
      {kind === "change" ? (
        <Field label="Direction">
          <Choice draft={draft} name="direction" options={["fall", "rise", "either"]} />
        </Field>
      ) : null}
      {kind === "crosses" ? (
        <>
          <Field label="Direction">
            <Choice draft={draft} name="side" options={["above", "below", "either"]} />
          </Field>
          <Field label={`Level (${pipelineInfo().value.unit})`}>
            <Text draft={draft} name="level" is_required placeholder="100,000" is_number />
          </Field>
        </>
      ) : null}
      {kind === "change" || kind === "volatility" || kind === "volume_fall" ? (
        <Field label={PERCENT_LABELS[kind]}>
          <NumberBox draft={draft} name="percent" />
        </Field>
      ) : null}
      {kind === "volume_spike" ? (
        <Field label="Threshold (× mean)">
          <NumberBox draft={draft} name="times" />
        </Field>
      ) : null}
      {kind === "volume_spike" || kind === "volume_fall" ? (
        <Field label="Windows in the mean">
          <NumberBox draft={draft} name="baseline_windows" />
        </Field>
      ) : null}
      {kind === "change" || kind === "volatility" || kind === "volume_spike" || kind === "volume_fall" ? (
        <Field label="Window (minutes)">
          <NumberBox draft={draft} name="window_minutes" />
        </Field>
      ) : null}
      {kind === "silent" ? (
        <Field label="Source (or “all”)">
          <Text draft={draft} name="source" is_required />
        </Field>
      ) : null}
      {kind === "lag" ? (
        <Field label="Layer">
          <Choice draft={draft} name="layer" options={["bronze", "silver", "gold", "live"]} />
        </Field>
      ) : null}
      {kind === "failed" ? (
        <Field label="Job (or “all”)">
          <Text draft={draft} name="job" is_required />
        </Field>
      ) : null}
      {kind === "silent" || kind === "lag" ? (
        <Field label="For longer than (s)">
          <NumberBox draft={draft} name="seconds" />
        </Field>
      ) : null}
    </>
  );
}

function Field({ label, wide = false, children }: { label: string; wide?: boolean; children: ComponentChildren }) {
  return (
    <label class={`field ${wide ? "wide" : ""}`}>
      <span>{label}</span>
      {children}
    </label>
  );
}

interface BoxProps {
  draft: Signal<Draft>;
  name: keyof Draft;
}

function Text({
  draft,
  name,
  is_required = false,
  is_number = false,
  placeholder = "",
}: BoxProps & { is_required?: boolean; is_number?: boolean; placeholder?: string }) {
  const read = (input: HTMLInputElement) => {
    const is_wrong = is_number && input.value !== "" && !/^\d+(?:\.\d+)?$/.test(plainNumber(input.value));
    input.setCustomValidity(is_wrong ? "Enter a number, such as 0.5 or 100,000" : "");
    draft.value = { ...draft.value, [name]: input.value };
  };
  return (
    <input
      type="text"
      inputMode={is_number ? "decimal" : "text"}
      required={is_required}
      placeholder={placeholder}
      value={String(draft.value[name])}
      onInput={(event) => read(event.currentTarget)}
    />
  );
}

/** A text input rather than `number`, which does not accept 100,000. */
function NumberBox({ draft, name }: BoxProps) {
  return <Text draft={draft} name={name} is_required is_number />;
}

function Choice({
  draft,
  name,
  options,
  names = {},
}: BoxProps & { options: readonly string[]; names?: Readonly<Record<string, string>> }) {
  return (
    <select
      value={String(draft.value[name])}
      onChange={(event) => (draft.value = { ...draft.value, [name]: event.currentTarget.value })}
    >
      {options.map((option) => (
        <option key={option} value={option}>
          {names[option] ?? option}
        </option>
      ))}
    </select>
  );
}
