import { useSignal, type Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Rule, StoredRule } from "../../../src/serve/schemas/alerts.ts";
import { Words } from "../../parts/words.tsx";
import { ApiError, call } from "../../state/api.ts";
import { draftOf, KINDS, ruleOf, type Draft } from "./draft.ts";
import { isOfTicks } from "./words.ts";

interface FormProps {
  /** Null for a new rule. */
  rule: StoredRule | null;
  done: () => void;
  cancel: () => void;
}

/** A rule as a form; the server checks it, and its words stand under the form. */
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
  const is_of_ticks = isOfTicks(draft.value.kind);
  return (
    <form class="rule-form" onSubmit={(event) => void submit(event)}>
      <div class="fields">
        <Field label="Name" wide>
          <Text draft={draft} name="name" is_required />
        </Field>
        <Field label="Severity">
          <Choice draft={draft} name="severity" options={["info", "warning", "critical"]} />
        </Field>
        <Field label="When">
          <Choice draft={draft} name="kind" options={Object.keys(KINDS)} names={KINDS} />
        </Field>
        <ConditionFields draft={draft} />
        {is_of_ticks ? (
          <Field label="Coins, by id; empty for all" wide>
            <Text draft={draft} name="subjects" placeholder="bitcoin, ethereum" />
          </Field>
        ) : null}
        <Field label="At least between two alerts, s">
          <NumberBox draft={draft} name="cooldown_seconds" />
        </Field>
        <Field label="Recovered when back by, % of the threshold">
          <NumberBox draft={draft} name="hysteresis_percent" />
        </Field>
        <Field label="Tell, besides this page" wide>
          <Text draft={draft} name="sinks" placeholder="ids of sinks, such as my-webhook" />
        </Field>
        <label class="check">
          <input type="checkbox" checked={draft.value.is_recovery_notified} onChange={(event) => (draft.value = { ...draft.value, is_recovery_notified: event.currentTarget.checked })} />
          Tell of the recovery too
        </label>
      </div>
      {error.value === null ? null : (
        <p class="form-error" role="alert">
          {error.value.message} <span class="muted"><Words text={error.value.next_step} /></span>
        </p>
      )}
      <p class="form-foot">
        <button type="submit" class="button primary" disabled={is_saving.value}>
          {rule === null ? "Add the rule" : "Keep the changes"}
        </button>
        <button type="button" class="button" onClick={cancel}>
          Cancel
        </button>
        <span class="note">{rule === null ? "It judges from now on; use its test for the past." : "A changed rule begins anew: episodes that are open end."}</span>
      </p>
    </form>
  );
}

function ConditionFields({ draft }: { draft: Signal<Draft> }) {
  const { kind } = draft.value;
  return (
    <>
      {kind === "change" ? (
        <Field label="Which way">
          <Choice draft={draft} name="direction" options={["fall", "rise", "either"]} />
        </Field>
      ) : null}
      {kind === "crosses" ? (
        <>
          <Field label="To">
            <Choice draft={draft} name="side" options={["above", "below", "either"]} />
          </Field>
          <Field label="Level, USD">
            <Text draft={draft} name="level" is_required placeholder="100000" />
          </Field>
        </>
      ) : null}
      {kind === "change" || kind === "volatility" ? (
        <Field label={kind === "change" ? "More than, %" : "Above, % a minute"}>
          <NumberBox draft={draft} name="percent" />
        </Field>
      ) : null}
      {kind === "volume_spike" ? (
        <>
          <Field label="More than, times the mean">
            <NumberBox draft={draft} name="times" />
          </Field>
          <Field label="Mean of so many windows before">
            <NumberBox draft={draft} name="baseline_windows" />
          </Field>
        </>
      ) : null}
      {kind === "change" || kind === "volatility" || kind === "volume_spike" ? (
        <Field label="Within, minutes">
          <NumberBox draft={draft} name="window_minutes" />
        </Field>
      ) : null}
      {kind === "silent" ? (
        <Field label="Source, or all">
          <Text draft={draft} name="source" is_required />
        </Field>
      ) : null}
      {kind === "lag" ? (
        <Field label="Layer">
          <Choice draft={draft} name="layer" options={["bronze", "silver", "gold", "live"]} />
        </Field>
      ) : null}
      {kind === "failed" ? (
        <Field label="Job, or all">
          <Text draft={draft} name="job" is_required />
        </Field>
      ) : null}
      {kind === "silent" || kind === "lag" ? (
        <Field label="For longer than, s">
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

function Text({ draft, name, is_required = false, placeholder = "" }: BoxProps & { is_required?: boolean; placeholder?: string }) {
  return <input type="text" required={is_required} placeholder={placeholder} value={String(draft.value[name])} onInput={(event) => (draft.value = { ...draft.value, [name]: event.currentTarget.value })} />;
}

function NumberBox({ draft, name }: BoxProps) {
  return <input type="number" step="any" required value={String(draft.value[name])} onInput={(event) => (draft.value = { ...draft.value, [name]: event.currentTarget.value })} />;
}

function Choice({ draft, name, options, names = {} }: BoxProps & { options: readonly string[]; names?: Readonly<Record<string, string>> }) {
  return (
    <select value={String(draft.value[name])} onChange={(event) => (draft.value = { ...draft.value, [name]: event.currentTarget.value })}>
      {options.map((option) => (
        <option key={option} value={option}>
          {names[option] ?? option}
        </option>
      ))}
    </select>
  );
}
