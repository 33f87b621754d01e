import { useSignal, useSignalEffect, type Signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { Answer } from "../../src/serve/schemas/answers.ts";
import type { SqlResult, SqlSchema } from "../../src/serve/schemas/sql.ts";
import { formatCount, plural } from "../format/number.ts";
import { formatAge, formatDuration } from "../format/time.ts";
import { Badge } from "../components/badge.tsx";
import { PageHead } from "../components/panel.tsx";
import { Empty, Failure, InvalidTime } from "../components/states.tsx";
import { Moment } from "../components/time.tsx";
import { lakeTime, parameters, setParameters } from "../router.ts";
import { ApiError, get } from "../state/api.ts";
import { now_ms } from "../state/clock.ts";
import { pipelineInfo } from "../state/pipeline.ts";
import { useResource } from "../state/resource.ts";
import { openEditor, type SqlEditor } from "./sql/editor.ts";
import { draft, save } from "./sql/storage.ts";
import { LakeTime } from "./sql/lake-time.tsx";
import { ResultChart } from "./sql/result-chart.tsx";
import { ResultGrid } from "./sql/result-grid.tsx";
import { Runner } from "./sql/running.ts";
import { Side } from "./sql/side.tsx";

const LAYERS_NOTE = "-- live.… adds records that are not committed yet; gold, silver and bronze are as committed.";
const SCHEMA_REFRESH_MS = 60_000;

type View = "table" | "chart";

const exampleSql = () => `${LAYERS_NOTE}\n${pipelineInfo().example_sql}`;

/** The editor's initial text: from the URL's `sql` or `question`, else the stored draft. */
async function firstText(): Promise<string> {
  const question = parameters.peek().get("question");
  const asked = parameters.peek().get("sql");
  if (asked !== null) return asked;
  if (question === null) return draft.peek()[0] ?? exampleSql();
  const { title, parts } = await get<Answer>(`/api/answers/${encodeURIComponent(question)}`);
  // Only one statement runs at a time, so further parts of a question are added as comments.
  const [first, ...others] = parts.map((part) => ({
    ...part,
    heading: `-- ${title}${part.title ? `: ${part.title}` : ""}`,
  }));
  const comments = others.map(({ heading, sql, lake_at }) =>
    [heading, ...(lake_at === null ? [] : [`with lake time ${lake_at}`]), ...sql.split("\n")].join("\n-- "),
  );
  return first === undefined ? exampleSql() : [`${first.heading}\n${first.sql}`, ...comments].join("\n\n");
}

function useEditor(run: () => void) {
  const container = useRef<HTMLDivElement>(null);
  const editor = useRef<SqlEditor | null>(null);
  const latest = useRef(run);
  latest.current = run;
  useEffect(() => {
    if (container.current === null) return undefined;
    const opened = openEditor(
      container.current,
      "",
      () => latest.current(),
      (text) => (draft.value = [text]),
    );
    editor.current = opened;
    return () => {
      opened.remove();
      editor.current = null;
    };
  }, []);
  useSignalEffect(() => {
    const question = parameters.value.get("question");
    void parameters.value.get("sql");
    if (question !== null) editor.current?.replace(`-- loading question ${question} …`);
    firstText().then(
      (text) => editor.current?.replace(text),
      (error: unknown) => {
        if (!(error instanceof ApiError)) throw error;
        editor.current?.replace(`-- ${error.message}\n${exampleSql()}`);
      },
    );
  });
  return { container, editor };
}

export function Sql() {
  const runner = useMemo(() => new Runner(), []);
  const at = lakeTime.value;
  const view = useSignal<View>("table");
  const schema = useResource<SqlSchema>("/api/sql/schema", SCHEMA_REFRESH_MS);
  const { container, editor } = useEditor(() => void run());
  const run = async () => {
    const chosen = editor.current?.chosen();
    if (chosen === undefined || chosen.text.trim() === "") return;
    editor.current?.clearError();
    const error = await runner.run(chosen.text, lakeTime.peek());
    if (error?.position != null) editor.current?.fail(chosen.offset + error.position, error.message);
  };
  const write = async (format: "csv" | "parquet") => {
    const chosen = editor.current?.chosen();
    if (chosen) await runner.export(chosen.text, lakeTime.peek(), format);
  };
  useSignalEffect(() => {
    const known = schema.state.value.value;
    if (known) editor.current?.know(known);
  });
  return (
    <div class="page sql-page">
      <PageHead title="SQL">
        DuckDB SQL over all layers; the console is read-only.{" "}
        {at === null ? null : (
          <>
            Time travel: the tables as of <Moment at={at} is_full />.
          </>
        )}
      </PageHead>
      <InvalidTime />
      <div class="sql-layout">
        <Side
          schema={schema}
          insert={(text) => editor.current?.insert(text)}
          open={(sql, then) => {
            editor.current?.replace(sql);
            if (then !== undefined) setParameters({ at: then });
          }}
        />
        <div class="sql-main">
          <section class="panel" aria-label="Query">
            <div class="editor" ref={container} />
            <Bar
              runner={runner}
              run={() => void run()}
              write={(format) => void write(format)}
              at={at}
              textOf={() => editor.current?.text() ?? ""}
            />
          </section>
          <Outcome runner={runner} view={view} />
        </div>
      </div>
    </div>
  );
}

interface BarProps {
  runner: Runner;
  run: () => void;
  write: (format: "csv" | "parquet") => void;
  at: string | null;
  textOf: () => string;
}

function Bar({ runner, run, write, at, textOf }: BarProps) {
  const state = runner.state.value;
  const is_running = state.is === "running";
  return (
    <div class="sql-bar">
      {is_running ? (
        <button type="button" class="button primary run" onClick={() => runner.cancel()}>
          Cancel
        </button>
      ) : (
        <button
          type="button"
          class="button primary run"
          onClick={run}
          title="Ctrl or ⌘ + Enter; runs the selection, if any"
        >
          Run
        </button>
      )}
      <LakeTime at={at} choose={(then) => setParameters({ at: then })} />
      <span class="sql-bar-end">
        <SaveAs textOf={textOf} />
        <button type="button" class="button" disabled={is_running} onClick={() => write("csv")}>
          CSV
        </button>
        <button type="button" class="button" disabled={is_running} onClick={() => write("parquet")}>
          Parquet
        </button>
      </span>
    </div>
  );
}

function SaveAs({ textOf }: { textOf: () => string }) {
  const name = useSignal<string | null>(null);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), [name.value === null]);
  if (name.value === null) {
    return (
      <button type="button" class="button" onClick={() => (name.value = "")}>
        Save
      </button>
    );
  }
  return (
    <form
      class="save-as"
      onSubmit={(event) => {
        event.preventDefault();
        const chosen = name.value?.trim() ?? "";
        if (chosen !== "") save(chosen, textOf());
        name.value = null;
      }}
    >
      <input
        ref={input}
        type="text"
        aria-label="Name of the query"
        placeholder="Name"
        value={name.value}
        onInput={(event) => (name.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") name.value = null;
        }}
      />
      <button type="submit" class="button">
        Save
      </button>
    </form>
  );
}

function Outcome({ runner, view }: { runner: Runner; view: Signal<View> }) {
  const state = runner.state.value;
  const result = runner.result.value;
  return (
    <section class="panel outcome" aria-label="Result" aria-busy={state.is === "running"}>
      <header class="panel-head" aria-live="polite">
        <h2>Result</h2>
        {state.is === "running" ? (
          <span class="panel-note">
            {state.doing} … {formatAge(Math.max(0, now_ms.value - state.since_ms))}
          </span>
        ) : null}
        {state.is === "cancelled" ? (
          <span class="panel-note">Cancelled.{result ? " The previous result is shown below." : ""}</span>
        ) : null}
        {state.is === "done" ? <Facts result={state.result} /> : null}
        {result === null ? null : (
          <span class="panel-actions">
            <span class="segments" role="group" aria-label="View">
              {(["table", "chart"] as const).map((name) => (
                <button key={name} type="button" aria-pressed={view.value === name} onClick={() => (view.value = name)}>
                  {name}
                </button>
              ))}
            </span>
          </span>
        )}
      </header>
      {state.is === "failed" ? <Failure title={titleOf(state.error)} error={state.error} /> : null}
      {state.is !== "failed" && result !== null ? (
        <div class={state.is === "running" ? "stale" : ""}>
          {result.rows.length === 0 ? (
            <Empty title="No rows">The query ran and returned no rows.</Empty>
          ) : view.value === "table" ? (
            <ResultGrid result={result} />
          ) : (
            <ResultChart result={result} />
          )}
        </div>
      ) : null}
      {state.is !== "failed" && result === null ? (
        <Empty title="Run a query to see results">
          <kbd>Ctrl</kbd> or <kbd>⌘</kbd> + <kbd>Enter</kbd> runs the query. Tables are listed beside the editor; the
          questions are under “saved”.
        </Empty>
      ) : null}
    </section>
  );
}

const TITLES: Readonly<Record<string, string>> = {
  INVALID_SQL: "The query has an error.",
  SQL_NOT_ALLOWED: "The console does not run this statement.",
  QUERY_TIMED_OUT: "The query took too long.",
  QUERY_OUT_OF_MEMORY: "The query needs too much memory.",
  QUERY_TOO_LARGE: "The result is too large to export.",
  QUERY_CANCELLED: "The query was cancelled.",
  TOO_MANY_QUERIES: "Too many queries are running.",
  CONSOLE_DIED: "The console's process ended.",
};

/** Title of an error, by its code. */
function titleOf({ status, code }: ApiError): string {
  return TITLES[code] ?? (status === 0 ? "The result could not be loaded." : "The query failed.");
}

function Facts({ result }: { result: SqlResult }) {
  const read = result.snapshots.map(({ table, snapshot_id }) => `${table} at snapshot ${snapshot_id}`).join("\n");
  return (
    <>
      <span class="panel-note">
        {plural(result.row_count, "row")} in {formatDuration(result.elapsed_ms)}
        {result.snapshots.length > 0 ? (
          <span title={read}> · reads {plural(result.snapshots.length, "table")}</span>
        ) : null}
        {result.scans.length > 0 ? <Scanned scans={result.scans} /> : null}
      </span>
      {result.at === null ? null : (
        <Badge tone="warn">
          as of <Moment at={result.at} with_zone />
        </Badge>
      )}
      {result.is_truncated ? (
        <Badge tone="warn" title="Export as CSV or Parquet for all rows, or add a LIMIT and a filter">
          first {formatCount(result.rows.length)} rows only (
          {result.truncated_by === "bytes" ? "size limit of a result" : "row limit"}); exports have all
        </Badge>
      ) : null}
    </>
  );
}

/** Files and rows read, out of the totals; lower bounds if a scan's table is unknown. */
function Scanned({ scans }: Pick<SqlResult, "scans">) {
  const known = scans.filter(({ table }) => table !== null);
  const has_unknown = known.length < scans.length;
  const total = (of: (scan: SqlResult["scans"][number]) => number) => known.reduce((sum, scan) => sum + of(scan), 0);
  const [files_read, rows_read] = [total((scan) => scan.files_read), total((scan) => scan.rows_read)];
  const is_complete = known.every(({ files, rows }) => files !== null && rows !== null);
  const describeScans = () => {
    const files = total((scan) => scan.files ?? 0);
    const skipped = total((scan) => scan.rows ?? 0) - rows_read;
    return !has_unknown
      ? `${formatCount(files_read)} of ${formatCount(files)} files read, ${formatCount(skipped)} rows skipped`
      : `read at least ${plural(files_read, "file")}; skipped ${skipped === 0 ? "none" : plural(skipped, "row")}`;
  };
  const of = (count: number | null) => (count === null ? "" : ` of ${formatCount(count)}`);
  const words = scans.map(({ table, ...scan }) =>
    table === null
      ? "a table of which all files were skipped"
      : `${table}: ${formatCount(scan.files_read)}${of(scan.files)} files, ` +
        `${formatCount(scan.rows_read)}${of(scan.rows)} rows`,
  );
  return (
    <span title={`Rows are skipped by partition, bounds or filter. Read, scan by scan:\n${words.join("\n")}`}>
      {" · "}
      {is_complete ? describeScans() : `${plural(files_read, "file")} and ${plural(rows_read, "row")} read`}
    </span>
  );
}
