import { useEffect } from "preact/hooks";
import type { Maintenance } from "../../src/serve/schemas/maintenance.ts";
import type { Quality } from "../../src/serve/schemas/quality.ts";
import type { DataFile, SnapshotDetail, TableDetail, Tables } from "../../src/serve/schemas/tables.ts";
import type { Page } from "../../src/serve/schemas/values.ts";
import { plural } from "../format/number.ts";
import { PageHead, Panel } from "../components/panel.tsx";
import { Empty, Loaded, Skeleton } from "../components/states.tsx";
import { parameters } from "../router.ts";
import { onEvent } from "../state/events.ts";
import { useResource } from "../state/resource.ts";
import { status } from "../state/status.ts";
import { Files } from "./lake/files.tsx";
import { Flow } from "./lake/flow.tsx";
import { MaintenanceRuns, TimeTravel } from "./lake/maintenance.tsx";
import { SnapshotTable, Timeline } from "./lake/snapshots.tsx";
import { OnDisk, TableList } from "./lake/tables.tsx";

const REFRESH_MS = 10_000;
const RUNS_SHOWN = 12;

/** The table shown first: gold's largest, else the largest of any layer. */
function busiest(tables: Tables["items"]): Tables["items"][number] | undefined {
  const gold = tables.filter(({ layer }) => layer === "gold");
  return (gold.length > 0 ? gold : tables).toSorted((a, b) => b.rows - a.rows)[0];
}

/** Tables: data flow, files, snapshots and maintenance. */
export function Lake() {
  const tables = useResource<Tables>("/api/tables", REFRESH_MS);
  const quality = useResource<Quality>("/api/quality", REFRESH_MS);
  const maintenance = useResource<Maintenance>(`/api/lake/maintenance?limit=${RUNS_SHOWN}`, REFRESH_MS);
  const layers = status.value?.layers ?? null;
  const listed = tables.state.value.value?.items ?? null;
  const asked = parameters.value.get("table");
  const chosen = asked ?? busiest(listed ?? [])?.table ?? null;
  return (
    <div class="page lake">
      <PageHead title="Lake">Iceberg tables, readable by DuckDB, PyIceberg and Spark at every snapshot.</PageHead>
      <Panel title="How data flows" note="from source to gold; each step commits atomically" is_flush>
        {layers === null ? (
          <Skeleton height="11rem" />
        ) : (
          <Flow
            layers={layers}
            stream={status.value?.stream ?? null}
            tables={listed}
            quality={quality.state.value.value}
          />
        )}
      </Panel>
      <Panel title="Tables" note={listed === null ? null : <OnDisk tables={listed} />} is_flush>
        <Loaded what="The list of tables" resource={tables} skeleton={<Skeleton height="20rem" />}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="No tables yet">
                Bronze appears seconds after the first message, silver and gold with the first run of the dbt models.
              </Empty>
            ) : (
              <TableList tables={items} chosen={chosen} />
            )
          }
        </Loaded>
      </Panel>
      <Panel title="Maintenance" note="compaction, snapshot expiry and orphan removal: before → after" is_flush>
        <Loaded what="The list of maintenance runs" resource={maintenance} skeleton={<Skeleton height="10rem" />}>
          {(value) => <MaintenanceRuns maintenance={value} />}
        </Loaded>
      </Panel>
      {chosen === null ? null : <OneTable key={chosen} table={chosen} />}
    </div>
  );
}

function OneTable({ table }: { table: string }) {
  const path = `/api/tables/${encodeURIComponent(table)}`;
  const detail = useResource<TableDetail>(path, REFRESH_MS);
  const snapshots = useResource<Page<SnapshotDetail>>(`${path}/snapshots?limit=500`, REFRESH_MS);
  const files = useResource<Page<DataFile>>(`${path}/files?limit=1000`, REFRESH_MS);
  useEffect(() =>
    onEvent("commit", (commit) => {
      if (commit.table === table) for (const resource of [detail, snapshots, files]) resource.reload();
    }),
  );
  return (
    <>
      <h2 class="section-head">{table}</h2>
      <Panel title="Commits" note="click a bar to query that snapshot">
        <Loaded what="The list of snapshots" resource={snapshots} skeleton={<Skeleton height="7rem" />}>
          {({ items }) =>
            items.length === 0 ? <Empty title="No commits yet" /> : <Timeline table={table} snapshots={items} />
          }
        </Loaded>
      </Panel>
      <div class="halves">
        <Panel title="Files by partition" note="of the current snapshot">
          <Loaded what="The list of files" resource={files} skeleton={<Skeleton height="8rem" />}>
            {({ items, next }) => <Files files={items} is_all={next === null} />}
          </Loaded>
        </Panel>
        <Panel title="Time travel" note="older snapshots are expired gradually">
          <Loaded what="The table" resource={detail} skeleton={<Skeleton height="8rem" />}>
            {(value) => <TimeTravel detail={value} />}
          </Loaded>
        </Panel>
      </div>
      <Panel title="Snapshots" is_flush>
        <Loaded what="The list of snapshots" resource={snapshots} skeleton={<Skeleton height="16rem" />}>
          {({ items }) => <SnapshotTable table={table} snapshots={items} />}
        </Loaded>
      </Panel>
      <Panel title="Columns" is_flush>
        <Loaded what="The table" resource={detail} skeleton={<Skeleton height="16rem" />}>
          {(value) => <Columns detail={value} />}
        </Loaded>
      </Panel>
    </>
  );
}

function Columns({ detail }: { detail: TableDetail }) {
  const is_described = detail.columns.some(({ description }) => description !== null);
  return (
    <>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Columns">
        <table class="grid-table columns">
          <thead>
            <tr>
              <th scope="col">column</th>
              <th scope="col">type</th>
              {is_described ? <th scope="col">description</th> : null}
            </tr>
          </thead>
          <tbody>
            {detail.columns.map(({ name, type, is_required, description }) => (
              <tr key={name}>
                <td>
                  <code>{name}</code>
                </td>
                <td>
                  <code class="muted">
                    {type}
                    {is_required ? ", required" : ""}
                  </code>
                </td>
                {is_described ? <td class="muted">{description ?? "–"}</td> : null}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="note table-foot">
        Iceberg format {detail.format_version},{" "}
        {detail.partition_by.length === 0 ? "unpartitioned" : `partitioned by ${detail.partition_by.join(", ")}`},{" "}
        {plural(detail.by_partition.length, "partition")}, at <code>{detail.location}</code>
      </p>
    </>
  );
}
