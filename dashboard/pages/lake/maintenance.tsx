import { hrefOf } from "../../base.ts";
import type { Maintenance, MaintenanceRun, Retention } from "../../../src/serve/schemas/maintenance.ts";
import type { TableDetail } from "../../../src/serve/schemas/tables.ts";
import { formatBytes, formatCount } from "../../format/number.ts";
import { formatSpan } from "../../format/time.ts";
import { Badge } from "../../components/badge.tsx";
import { Empty } from "../../components/states.tsx";
import { Age, Moment } from "../../components/time.tsx";

/** Maintenance runs, newest first: what each changed in its table. */
export function MaintenanceRuns({ maintenance: { items, compacts_after_commits } }: { maintenance: Maintenance }) {
  if (items.length === 0) {
    return (
      <Empty title="No maintenance runs yet">
        {compacts_after_commits === null
          ? "An orchestrator runs maintenance; each run appears here."
          : `Compaction starts after ${compacts_after_commits} commits of a table, or after many delete files.`}
      </Empty>
    );
  }
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Maintenance runs">
      <table class="grid-table">
        <thead>
          <tr>
            <th scope="col">table</th>
            <th scope="col">action</th>
            {["data files", "delete files", "live data", "snapshots", "files removed", "duration", "started"].map(
              (header) => (
                <th key={header} scope="col" class="right">
                  {header}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody>
          {items.map((run) => (
            <RunRow key={run.id} run={run} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function RunRow({
  run: { table, action, before, after, deleted_files, seconds, started_at },
}: {
  run: MaintenanceRun;
}) {
  return (
    <tr>
      <td>
        <a href={hrefOf(`/lake?table=${table}`)}>{table}</a>
      </td>
      <td>
        <Badge tone={action === "compact" ? "accent" : "plain"}>{action}</Badge>
      </td>
      <Change before={formatCount(before.files)} after={formatCount(after.files)} />
      <Change before={formatCount(before.delete_files)} after={formatCount(after.delete_files)} />
      <Change before={formatBytes(before.size_bytes)} after={formatBytes(after.size_bytes)} />
      <Change before={formatCount(before.snapshots)} after={formatCount(after.snapshots)} />
      <td class="right figure">{formatCount(deleted_files)}</td>
      <td class="right figure">{seconds.toFixed(1)} s</td>
      <td class="right">
        <Age at={started_at} />
      </td>
    </tr>
  );
}

/** A figure before and after; one figure if it did not change. */
function Change({ before, after }: { before: string; after: string }) {
  return (
    <td class="right figure nowrap">
      {before === after ? null : (
        <>
          <span class="muted">{before}</span> →{" "}
        </>
      )}
      {after}
    </td>
  );
}

/** The range of time travel and the retention policy. */
export function TimeTravel({ detail: { snapshots, oldest_snapshot_at, retention } }: { detail: TableDetail }) {
  return (
    <>
      <p>
        {oldest_snapshot_at === null ? (
          "No snapshot yet."
        ) : (
          <>
            <strong>{formatCount(snapshots)}</strong> {snapshots === 1 ? "snapshot" : "snapshots"} since{" "}
            <Moment at={oldest_snapshot_at} is_full />
          </>
        )}
      </p>
      <dl class="retention">
        {retention.tiers.map((tier) => (
          <div key={tier.within_s}>
            <dt>{tier.within_s === null ? "older" : `up to ${formatSpan(tier.within_s)} old`}</dt>
            <dd>
              {tier.every_s === 0
                ? "every snapshot"
                : `one snapshot per ${formatSpan(tier.every_s).replace(/^1 /, "")}`}
            </dd>
          </div>
        ))}
      </dl>
      <p class="note">{newest(retention)}</p>
    </>
  );
}

function newest({ min_snapshots }: Retention): string {
  const kept = min_snapshots > 1 ? `The newest ${formatCount(min_snapshots)} snapshots are` : "The newest snapshot is";
  return (
    `${kept} retained at any age, as are snapshots of branches and tags. ` +
    "Between two retained snapshots, a query reads the earlier one."
  );
}
