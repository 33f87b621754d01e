import { hrefOf } from "../../base.ts";
import type { Alert } from "../../../src/serve/schemas/alerts.ts";
import { Badge, Dot, type Tone } from "../../components/badge.tsx";
import { formatFigure } from "../../format/number.ts";
import { Missing, Price } from "../../components/figures.tsx";
import { Age, Moment } from "../../components/time.tsx";
import { pipelineInfo } from "../../state/pipeline.ts";
import { nameOfSubject, subjectPath } from "../../state/subjects.ts";
import { isAboutSubjects } from "./describe.ts";

const TONES: Record<Alert["severity"], Tone> = { info: "accent", warning: "warn", critical: "bad" };

export function AlertTable({ alerts, label }: { alerts: readonly Alert[]; label: string }) {
  const { value, subject } = pipelineInfo();
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label={label}>
      <table class="grid-table alerts-table">
        <thead>
          <tr>
            <th scope="col">state</th>
            <th scope="col">fired (event time)</th>
            <th scope="col">alert</th>
            <th scope="col" class="right">
              {value.noun} when fired, {value.unit}
            </th>
            <th scope="col" class="right">
              peak
            </th>
            <th scope="col" class="right">
              duration
            </th>
          </tr>
        </thead>
        <tbody>
          {alerts.map((alert) => (
            <tr key={alert.id}>
              <td class="figure">
                <Dot tone={TONES[alert.severity]} /> {alert.severity}{" "}
                {alert.state === "active" ? (
                  <Badge tone="bad">active</Badge>
                ) : (
                  <Badge tone="good">{endOf(alert)}</Badge>
                )}
              </td>
              <td>
                <Moment at={alert.opened_at} is_full />
              </td>
              <td class="alert-what">
                <Message alert={alert} />
                <span class="note"> {alert.rule_name}</span>
              </td>
              <td class="right">
                {!isAboutSubjects(alert.kind) ? (
                  <Missing why={`not a rule on ${subject.plural}`} />
                ) : (
                  <Price value={alert.value} />
                )}
              </td>
              <td class="right figure">
                {alert.worst_measure === null ? (
                  <Missing why="not measured" />
                ) : (
                  `${formatFigure(alert.worst_measure)} ${unitOf(alert)}`
                )}
              </td>
              <td class="right">
                {alert.ended_at === null ? <Age at={alert.opened_at} suffix="" /> : <Duration alert={alert} />}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function endOf({ ended_by }: Alert): string {
  return ended_by === "rule_changed" ? "rule changed" : ended_by === "rule_deleted" ? "rule deleted" : "recovered";
}

function unitOf({ kind }: Alert): string {
  if (kind === "silent" || kind === "lag") return "s";
  return kind === "volume_spike" ? "×" : "%";
}

/** The alert's message; a subject with a page is a link. */
function Message({ alert: { kind, subject, message } }: { alert: Alert }) {
  const rest = message.startsWith(subject) ? message.slice(subject.length) : ` ${message}`;
  const name = <strong>{isAboutSubjects(kind) ? nameOfSubject(subject) : subject}</strong>;
  const page = isAboutSubjects(kind) ? subjectPath(subject) : null;
  return (
    <>
      {page === null ? (
        name
      ) : (
        <a href={hrefOf(page)} title={subject}>
          {name}
        </a>
      )}
      {rest}
    </>
  );
}

function Duration({ alert: { opened_at, ended_at } }: { alert: Alert }) {
  const seconds = (Date.parse(ended_at ?? opened_at) - Date.parse(opened_at)) / 1000;
  return (
    <span class="figure">
      {seconds < 60
        ? `${Math.max(1, Math.round(seconds))} s`
        : seconds < 5_400
          ? `${Math.round(seconds / 60)} min`
          : `${(seconds / 3600).toFixed(1)} h`}
    </span>
  );
}
