import { useEffect } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { hrefOf } from "../../base.ts";
import type { Answer, AnswerColumn, AnswerPart } from "../../../src/serve/schemas/answers.ts";
import type { PipelineInfo } from "../../../src/serve/schemas/definition.ts";
import { Missing } from "../../components/figures.tsx";
import { Skeleton } from "../../components/states.tsx";
import { Countdown, Moment } from "../../components/time.tsx";
import { onEvent } from "../../state/events.ts";
import { useResource } from "../../state/resource.ts";
import { status, status_error } from "../../state/status.ts";
import { isFigure, labelOf, Value, type Row } from "./value.tsx";

type QuestionInfo = PipelineInfo["questions"][number];

const REFRESH_MS = 10_000;
/** Rows of a tile's table. */
const MAX_ROWS = 5;
/** Columns that fit a tile of one width. */
const MAX_NARROW_COLUMNS = 3;

interface TileProps {
  question: QuestionInfo;
  children: ComponentChildren;
  foot: ComponentChildren;
  is_wide?: boolean;
  is_loading?: boolean;
}

function Tile({ question: { number, title, tile }, children, foot, is_wide = false, is_loading = false }: TileProps) {
  return (
    <article class={`tile answer ${is_wide ? "is-wide" : ""}`} aria-label={tile} aria-busy={is_loading}>
      <header class="tile-head">
        <h2 title={title}>{tile}</h2>
        <a
          class="tile-sql"
          href={hrefOf(`/sql?question=${number}`)}
          title="The SQL behind this answer"
          aria-label={`SQL behind: ${tile}`}
        >
          SQL
        </a>
      </header>
      {children}
      <footer class="tile-foot">{foot}</footer>
    </article>
  );
}

/** The tile of a question. Each question is a separate request, so that none waits for a slower one. */
export function Question({ question }: { question: QuestionInfo }) {
  // Without an event no request is sent, because the API would reject it; without a status, its error gives the reason.
  const has_events =
    status.value !== null ? status.value.newest_event_at !== null : status_error.value !== null ? true : null;
  const resource = useResource<Answer>(has_events ? `/api/answers/${question.number}` : null, REFRESH_MS);
  const { value, error, retry_at_ms } = resource.state.value;
  useEffect(() => onEvent("gap", () => resource.reload()), [resource]);
  if (has_events === false)
    return (
      <Tile question={question} foot="appears with the first event">
        <Big>
          <Missing why="no accepted event yet" />
        </Big>
        <p class="muted">no event yet</p>
      </Tile>
    );
  if (value === null && error === null)
    return (
      <Tile question={question} foot={<Skeleton width="6rem" />} is_loading>
        <Big>
          <Skeleton width="9rem" height="1.6rem" />
        </Big>
        <Skeleton width="8rem" />
      </Tile>
    );
  if (value === null)
    return (
      <Tile
        question={question}
        foot={
          retry_at_ms === null ? null : (
            <>
              next retry in <Countdown to_ms={retry_at_ms} />
            </>
          )
        }
      >
        <Big>
          <Missing why={error?.message ?? ""} />
        </Big>
        <p class="strong-bad" title={error?.message}>
          could not be loaded
        </p>
      </Tile>
    );
  // If a refresh fails, the last answer stays, greyed; it shows its own age.
  return error === null ? (
    <Answered question={question} answer={value} />
  ) : (
    <div class="tile-stale" title={error.message}>
      <Answered question={question} answer={value} />
    </div>
  );
}

function Answered({ question, answer }: { question: QuestionInfo; answer: Answer }) {
  const [first, ...others] = answer.parts;
  const rows = Math.max(0, ...answer.parts.map((part) => part.rows.length));
  const is_wide = answer.parts.some((part) => part.rows.length > 1 && columnsOf(part).length > MAX_NARROW_COLUMNS);
  return (
    <Tile
      question={question}
      is_wide={is_wide}
      foot={
        <>
          as of <Moment at={answer.as_of} with_zone />
          {rows > MAX_ROWS ? (
            <>
              {" "}
              · <a href={hrefOf(`/sql?question=${question.number}`)}>all {rows} rows</a>
            </>
          ) : null}
        </>
      }
    >
      {first === undefined ? null : <FirstPart part={first} />}
      {others.map((part) => (
        <OtherPart key={part.title} part={part} />
      ))}
    </Tile>
  );
}

function Big({ children }: { children: ComponentChildren }) {
  return <div class="tile-figure">{children}</div>;
}

/** The columns that a row shows: those that the question calls optional only where they have a value. */
function columnsOf({ columns, rows }: AnswerPart): AnswerColumn[] {
  return columns.filter(({ name, is_optional }) => !is_optional || rows.some((row) => row[name] !== null));
}

/** Why a row lacks a value: the text of its optional column, such as “not measured: no order in the hour before”. */
function whyOf({ columns }: AnswerPart, row: Row): string {
  const reason = columns.find(({ name, is_optional, kind }) => is_optional && kind === "text" && row[name] !== null);
  return reason === undefined ? "no value" : `${reason.header}: ${row[reason.name] ?? ""}`;
}

function FirstPart({ part }: { part: AnswerPart }) {
  const [row, ...more] = part.rows;
  if (row === undefined)
    return (
      <>
        <Big>
          <Missing why={part.note ?? "no rows"} />
        </Big>
        <p class="muted clamped" title={part.note ?? ""}>
          {part.note}
        </p>
      </>
    );
  if (more.length > 0) return <Table part={part} />;
  const columns = columnsOf(part);
  const figure = columns.find(isFigure) ?? columns[0];
  return (
    <>
      {figure === undefined ? null : (
        <Big>
          <Value column={figure} value={row[figure.name]} why={whyOf(part, row)} with_unit />
        </Big>
      )}
      <dl class="answer-facts">
        {columns
          .filter((column) => column !== figure)
          .map((column) => (
            <div key={column.name}>
              <dt>{labelOf(column).label}</dt>
              <dd>
                <Value column={column} value={row[column.name]} why={whyOf(part, row)} with_unit />
              </dd>
            </div>
          ))}
      </dl>
    </>
  );
}

/** A further part of the question, on one line where it has one row. */
function OtherPart({ part }: { part: AnswerPart }) {
  const [row, ...more] = part.rows;
  const figure = columnsOf(part).find(isFigure);
  return (
    <div class="answer-part">
      <p class="muted clamped" title={part.title}>
        {part.title}
      </p>
      {row === undefined || figure === undefined ? (
        <p class="muted clamped" title={part.note ?? ""}>
          – {part.note ?? "no rows"}
        </p>
      ) : more.length > 0 ? (
        <Table part={part} />
      ) : (
        <Value column={figure} value={row[figure.name]} why={whyOf(part, row)} with_unit />
      )}
    </div>
  );
}

function Table({ part }: { part: AnswerPart }) {
  const columns = columnsOf(part);
  const align = (column: AnswerColumn) => (isFigure(column) || column.kind === "time" ? "right" : "");
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label={part.title}>
      <table class="grid-table answer-table">
        <thead>
          <tr>
            {columns.map((column) => {
              const { label, unit } = labelOf(column);
              return (
                <th key={column.name} scope="col" class={align(column)}>
                  {label}
                  {unit === "" ? "" : `, ${unit}`}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {part.rows.slice(0, MAX_ROWS).map((row, index) => (
            <tr key={index}>
              {columns.map((column) => (
                <td key={column.name} class={align(column)}>
                  <Value column={column} value={row[column.name]} why={whyOf(part, row)} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
