import { useSignal } from "@preact/signals";
import { hrefOf } from "../../base.ts";
import type { SqlSchema } from "../../../src/serve/schemas/sql.ts";
import { formatCount } from "../../format/number.ts";
import { formatDuration } from "../../format/time.ts";
import { Loaded, Skeleton } from "../../components/states.tsx";
import { Age } from "../../components/time.tsx";
import { pipelineInfo } from "../../state/pipeline.ts";
import type { ResourceHandle } from "../../state/resource.ts";
import { forget, runs, saved } from "./storage.ts";

const LAYERS: Record<string, string> = {
  live: "tables plus records not committed yet",
  gold: "facts and dimensions, as committed",
  silver: "clean events and the quarantine, as committed",
  bronze: "messages as received, as committed",
};

type Tab = "tables" | "saved" | "history";

interface SideProps {
  schema: ResourceHandle<SqlSchema>;
  insert: (text: string) => void;
  open: (sql: string, at?: string | null) => void;
}

/** Lists tables, saved queries and the history. */
export function Side({ schema, insert, open }: SideProps) {
  const tab = useSignal<Tab>("tables");
  return (
    <aside class="panel sql-side" aria-label="Tables and queries">
      <div class="segments wide" role="group" aria-label="List">
        {(["tables", "saved", "history"] as const).map((name) => (
          <button key={name} type="button" aria-pressed={tab.value === name} onClick={() => (tab.value = name)}>
            {name}
          </button>
        ))}
      </div>
      <div class="sql-side-body" tabIndex={0} role="region" aria-label={tab.value}>
        {tab.value === "tables" ? <Catalog schema={schema} insert={insert} /> : null}
        {tab.value === "saved" ? <SavedQueries open={open} /> : null}
        {tab.value === "history" ? <History open={open} /> : null}
      </div>
    </aside>
  );
}

function Catalog({ schema, insert }: Pick<SideProps, "schema" | "insert">) {
  return (
    <Loaded what="The catalog" resource={schema} skeleton={<Skeleton height="12rem" />}>
      {({ tables }) => (
        <>
          {tables.length === 0 ? <p class="note">No tables yet: they appear with the first commit.</p> : null}
          {Object.entries(LAYERS).map(([layer, note]) => {
            const here = tables.filter((table) => table.schema === layer);
            return here.length === 0 ? null : (
              <section key={layer} class="layer-list">
                <h2 title={note}>{layer}</h2>
                {here.map((table) => (
                  <details key={table.name}>
                    <summary>{table.name}</summary>
                    <button type="button" class="button small" onClick={() => insert(`${layer}.${table.name}`)}>
                      Insert name
                    </button>
                    <ul>
                      {table.columns.map((column) => (
                        <li key={column.name} title={column.description ?? ""}>
                          <code>{column.name}</code> <span class="muted">{column.type.toLowerCase()}</span>
                        </li>
                      ))}
                    </ul>
                  </details>
                ))}
              </section>
            );
          })}
        </>
      )}
    </Loaded>
  );
}

function SavedQueries({ open }: Pick<SideProps, "open">) {
  return (
    <>
      <h2>The questions</h2>
      <ul class="query-list">
        {pipelineInfo().questions.map(({ number, title, tile }) => (
          <li key={number}>
            <a href={hrefOf(`/sql?question=${number}`)} title={title}>
              {tile}
            </a>
          </li>
        ))}
      </ul>
      <h2>Yours</h2>
      {saved.value.length === 0 ? <p class="note">“Save” stores a query under a name, in this browser.</p> : null}
      <ul class="query-list">
        {saved.value.map(({ name, sql }) => (
          <li key={name}>
            <button type="button" class="link" title={sql} onClick={() => open(sql)}>
              {name}
            </button>
            <button type="button" class="link muted" aria-label={`Delete ${name}`} onClick={() => forget(name)}>
              ✕
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

function History({ open }: Pick<SideProps, "open">) {
  if (runs.value.length === 0) return <p class="note">Queries that you run are listed here, in this browser.</p>;
  return (
    <ul class="query-list history">
      {runs.value.map(({ sql, at, ran_at_ms, rows, elapsed_ms }) => (
        <li key={ran_at_ms}>
          <button type="button" class="link" title={sql} onClick={() => open(sql, at)}>
            <code>{sql.replace(/\s+/g, " ").slice(0, 80)}</code>
            <span class="muted">
              <Age at={ran_at_ms} /> · {rows === null ? "failed" : `${formatCount(rows)} rows`} ·{" "}
              {formatDuration(elapsed_ms)}
              {at === null ? "" : " · time travel"}
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}
