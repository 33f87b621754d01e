import { hrefOf } from "../../base.ts";
import type { Quality } from "../../../src/serve/schemas/quality.ts";
import type { LayerStatus, Stream } from "../../../src/serve/schemas/status.ts";
import type { TableSummary } from "../../../src/serve/schemas/tables.ts";
import { formatBytes, formatCount, plural } from "../../format/number.ts";
import { formatSeconds } from "../../format/time.ts";
import { Missing } from "../../components/figures.tsx";
import { Skeleton } from "../../components/states.tsx";
import { Age, Moment } from "../../components/time.tsx";

const HOLDS: Record<LayerStatus["layer"], string> = {
  log: "every message, durable before it is processed",
  bronze: "a complete, byte-exact copy of the log",
  silver: "valid events, deduplicated",
  gold: "facts, aggregates and dimensions",
  live: "all tables plus records not committed yet",
};

interface FlowProps {
  layers: readonly LayerStatus[];
  stream: Stream | null;
  tables: readonly TableSummary[] | null;
  quality: Quality | null;
}

/** Shows each layer's content, lag behind the log and excluded elements. */
export function Flow({ layers, stream, tables, quality }: FlowProps) {
  return (
    <ol class="flow" aria-label="Layers, from the log to gold">
      {layers.map((layer) => (
        <li key={layer.layer} class={`flow-step ${layer.layer}`}>
          <Step layer={layer} tables={tables?.filter((table) => table.layer === layer.layer) ?? null} />
          {layer.layer === "bronze" && stream !== null ? <StreamProgress stream={stream} /> : null}
          {layer.layer === "silver" ? <Excluded quality={quality} /> : null}
        </li>
      ))}
    </ol>
  );
}

function Step({ layer, tables }: { layer: LayerStatus; tables: readonly TableSummary[] | null }) {
  const { commits_last_minute } = layer;
  const has_tables = layer.layer !== "log" && layer.layer !== "live";
  const sum = (figure: "rows" | "files" | "size_bytes") =>
    tables?.reduce((total, table) => total + table[figure], 0) ?? 0;
  return (
    <>
      <h3>{layer.layer}</h3>
      <p class="note">{HOLDS[layer.layer]}</p>
      <p class="flow-behind">
        <Behind layer={layer} />
      </p>
      <dl class="flow-facts">
        {has_tables ? (
          <>
            <div>
              <dt>rows</dt>
              <dd class="figure">{tables === null ? <Skeleton width="4rem" /> : formatCount(sum("rows"))}</dd>
            </div>
            <div>
              <dt>data files</dt>
              <dd class="figure">
                {tables === null ? (
                  <Skeleton width="5rem" />
                ) : (
                  `${formatCount(sum("files"))} · ${formatBytes(sum("size_bytes"))}`
                )}
              </dd>
            </div>
            <div>
              <dt>commits</dt>
              <dd class="figure">
                {layer.committed_at === null ? (
                  "none yet"
                ) : (
                  <>
                    last <Age at={layer.committed_at} />
                    {commits_last_minute > 0 ? `, ${commits_last_minute} in a minute` : ""}
                  </>
                )}
              </dd>
            </div>
          </>
        ) : (
          <div>
            <dt>newest record</dt>
            <dd>
              <Moment at={layer.newest_at} />
            </dd>
          </div>
        )}
      </dl>
    </>
  );
}

/** A layer's lag behind the log; for the log itself, the age of its newest record. */
function Behind({ layer: { layer, records_behind, seconds_behind, newest_at } }: { layer: LayerStatus }) {
  if (layer === "log") {
    return (
      <>
        <strong>
          <Age at={newest_at} suffix="" />
        </strong>{" "}
        <span class="muted">since the newest record</span>
      </>
    );
  }
  if (records_behind === 0) {
    return (
      <>
        <strong>up to date</strong> <span class="muted">with the log</span>
      </>
    );
  }
  return (
    <>
      <strong class="figure">{formatSeconds(seconds_behind)}</strong>{" "}
      <span class="muted">behind, {plural(records_behind, "record")}</span>
    </>
  );
}

/** The Spark stream that ingests the log into bronze. */
function StreamProgress({ stream: { name, state, message, batch } }: { stream: Stream }) {
  if (state !== "running") {
    return (
      <p class="flow-out">
        stream {name}{" "}
        <span class={state === "failed" ? "strong-bad" : "muted"} title={message ?? ""}>
          {state === "failed" ? "failed" : "is starting"}
        </span>
      </p>
    );
  }
  return (
    <p class="flow-out" title={message ?? ""}>
      by Spark's stream {name}
      {batch === null ? null : (
        <>
          : batch {formatCount(batch.number)} of {plural(batch.records, "record")} in{" "}
          {formatSeconds(batch.duration_ms / 1000)}
        </>
      )}
    </p>
  );
}

function Excluded({ quality }: { quality: Quality | null }) {
  const rejected = quality?.rejected.reduce((total, { count }) => total + count, 0);
  return (
    <p class="flow-out">
      excluded:{" "}
      <a href={hrefOf("/quality")}>
        {rejected === undefined ? <Missing why="loading" /> : formatCount(rejected)} rejected
      </a>
      , {quality === null ? <Missing why="loading" /> : formatCount(quality.duplicates)} duplicates
    </p>
  );
}
