import { signal, useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { BackTest, StoredRule } from "../../../src/serve/schemas/alerts.ts";
import { formatCount, plural } from "../../format/number.ts";
import { Badge, Dot } from "../../components/badge.tsx";
import { Empty } from "../../components/states.tsx";
import { Moment } from "../../components/time.tsx";
import { ApiError, call } from "../../state/api.ts";
import { pipelineInfo } from "../../state/pipeline.ts";
import { nameOfSubject } from "../../state/subjects.ts";
import { AlertTable } from "./alert-list.tsx";
import { RuleError, RuleForm } from "./rule-form.tsx";
import { isAboutSubjects, describeCondition, describeSubjects } from "./describe.ts";

interface RulesProps {
  rules: readonly StoredRule[];
  reload: () => void;
}

export function RuleList({ rules, reload }: RulesProps) {
  const editing = useSignal<string | null>(null);
  return (
    <>
      {rules.length === 0 ? (
        <Empty title="No rules">
          A rule has a condition and a set of {pipelineInfo().subject.plural}; it applies to every tick from the moment
          it is created.
        </Empty>
      ) : null}
      <ul class="rules">
        {rules.map((rule) => (
          <li key={rule.id}>
            {editing.value === rule.id ? (
              <RuleForm
                rule={rule}
                done={() => {
                  editing.value = null;
                  reload();
                }}
                cancel={() => (editing.value = null)}
              />
            ) : (
              <OneRule rule={rule} reload={reload} edit={() => (editing.value = rule.id)} />
            )}
          </li>
        ))}
      </ul>
      {editing.value === "" ? (
        <RuleForm
          rule={null}
          done={() => {
            editing.value = null;
            reload();
          }}
          cancel={() => (editing.value = null)}
        />
      ) : (
        <p class="more">
          <button type="button" class="button" onClick={() => (editing.value = "")}>
            New rule
          </button>
        </p>
      )}
    </>
  );
}

/** Actions on a rule, and their state. */
class RuleActions {
  readonly error = signal<ApiError | null>(null);
  readonly is_testing = signal(false);
  readonly tested = signal<BackTest | null>(null);
  readonly #path: string;
  readonly #reload: () => void;

  constructor(id: string, reload: () => void) {
    this.#path = `/api/rules/${encodeURIComponent(id)}`;
    this.#reload = reload;
  }

  async toggle({
    revision: _revision,
    created_at: _created_at,
    updated_at: _updated_at,
    ...own
  }: StoredRule): Promise<void> {
    await this.#attempt(() => call("PUT", this.#path, { ...own, is_enabled: !own.is_enabled }));
    this.#reload();
  }

  async remove(): Promise<void> {
    await this.#attempt(() => call("DELETE", this.#path));
    this.#reload();
  }

  async test(): Promise<void> {
    this.is_testing.value = true;
    await this.#attempt(async () => {
      this.tested.value = await call<BackTest>("POST", `${this.#path}/test`, {});
    });
    this.is_testing.value = false;
  }

  async #attempt(work: () => Promise<unknown>): Promise<void> {
    this.error.value = null;
    try {
      await work();
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      this.error.value = failure;
    }
  }
}

function OneRule({ rule, reload, edit }: { rule: StoredRule; reload: () => void; edit: () => void }) {
  const actions = useMemo(() => new RuleActions(rule.id, reload), [rule.id]);
  const { error, tested } = actions;
  const info = pipelineInfo();
  return (
    <>
      <div class="rule">
        <div class="rule-words">
          <strong>{rule.name}</strong> {rule.is_enabled ? null : <Badge>off</Badge>}
          <p class="note">
            <Dot tone={rule.severity === "critical" ? "bad" : rule.severity === "warning" ? "warn" : "accent"} />{" "}
            {rule.severity}: {describeSubjects(rule, info, nameOfSubject)} {describeCondition(rule.condition, info)}
            {rule.cooldown_seconds > 0 ? `; at least ${rule.cooldown_seconds} s between alerts` : ""}
            {rule.hysteresis_percent > 0 ? `; recovery margin ${rule.hysteresis_percent} %` : ""}; notifies:{" "}
            {rule.sinks.map((sink) => (sink === "page" ? "this page" : sink)).join(", ") || "nobody"}
          </p>
        </div>
        <Buttons rule={rule} actions={actions} edit={edit} />
      </div>
      {error.value === null ? null : <RuleError error={error.value} />}
      {tested.value === null ? null : <Tested test={tested.value} close={() => (tested.value = null)} />}
    </>
  );
}

function Buttons({ rule, actions, edit }: { rule: StoredRule; actions: RuleActions; edit: () => void }) {
  const is_sure = useSignal(false);
  const is_of_ticks = isAboutSubjects(rule.condition.kind);
  return (
    <span class="rule-actions">
      {is_of_ticks ? (
        <button
          type="button"
          class="button small"
          disabled={actions.is_testing.value}
          onClick={() => void actions.test()}
          title="Show the alerts that this rule would have fired over the lake's history"
        >
          {actions.is_testing.value ? "Testing …" : "Test on history"}
        </button>
      ) : null}
      <button type="button" class="button small" onClick={() => void actions.toggle(rule)}>
        {rule.is_enabled ? "Turn off" : "Turn on"}
      </button>
      <button type="button" class="button small" onClick={edit}>
        Edit
      </button>
      <button
        type="button"
        class="button small"
        onClick={() => (is_sure.value ? void actions.remove() : (is_sure.value = true))}
        onBlur={() => (is_sure.value = false)}
      >
        {is_sure.value ? "Confirm delete" : "Delete"}
      </button>
    </span>
  );
}

function Tested({ test, close }: { test: BackTest; close: () => void }) {
  const { noun, plural: many } = pipelineInfo().subject;
  return (
    <div class="tested" role="status">
      <p>
        <strong>{test.fired === 0 ? "No alerts" : plural(test.fired, "alert")}</strong>{" "}
        <span class="muted">
          over {plural(test.ticks, "tick")} of {plural(test.subjects, noun, many)}
          {test.from === null || test.to === null ? (
            ""
          ) : (
            <>
              , <Moment at={test.from} is_full /> to <Moment at={test.to} is_full />
            </>
          )}
        </span>{" "}
        <button type="button" class="button small" onClick={close}>
          Close
        </button>
      </p>
      {test.alerts.length === 0 ? null : (
        <AlertTable alerts={test.alerts} label={`Alerts that ${test.rule.name} would have fired`} />
      )}
      {test.alerts.length < test.fired ? (
        <p class="note">Only the first {formatCount(test.alerts.length)} are shown.</p>
      ) : null}
    </div>
  );
}
