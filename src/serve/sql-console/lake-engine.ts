import { lockStatements } from "../../duckdb/lock.ts";
import { enginePath } from "../../duckdb/sql.ts";
import type { OpenLake } from "../../lake/open.ts";
import { QuerySession, type TableSnapshot } from "../../duckdb/session.ts";
import { TimeTravelSession } from "../../duckdb/time-travel-session.ts";
import { systemClock } from "../../base/clock.ts";
import { LiveLake } from "../../live/live-lake.ts";
import type { Pipeline } from "../../pipeline/definition.ts";
import { TableReports } from "../../query/tables.ts";
import type { LiveModels } from "../../transform/models.ts";
import { MAX_RUNNING } from "./protocol.ts";
import { describeScans } from "./scans.ts";
import type { ConsoleEngine } from "./worker.ts";

const MEMORY_LIMIT_MB = 384;
const PAST_MEMORY_LIMIT_MB = 256;

export interface ConsoleLake {
  engine: ConsoleEngine;
  /** Follows the log until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  close(): void;
}

/**
 * Opens a lake for typed SQL: a live tail for this process, and a time-travel session, both locked to the lake's files
 * and the exports' folder.
 */
export async function openConsoleLake(
  open: OpenLake,
  pipeline: Pipeline,
  models: LiveModels,
  exports_folder: string,
): Promise<ConsoleLake> {
  const lock = lockStatements([enginePath(open.lake.warehouse), open.server.url, exports_folder]);
  const live = await LiveLake.open({
    open,
    pipeline,
    models,
    clock: systemClock,
    memory_limit_mb: MEMORY_LIMIT_MB,
    threads: 2,
  });
  const reports = new TableReports(open);
  await live.profile(MAX_RUNNING, exports_folder);
  for (const statement of lock) await live.query(statement);
  // Otherwise the first query would see only part of the log.
  await live.catchUp();
  const past = new TimeTravelSession(() => openLockedSession(open, exports_folder, lock));
  return {
    engine: {
      query: async (sql, options) => {
        const { tables, ...result } = await live.query(sql, options);
        return { ...result, snapshots: tables.flatMap(snapshotOf) };
      },
      describe: (scans, snapshots, of) => describeScans(reports, scans, snapshots, of),
      past: (at_ms, work) =>
        past.at(at_ms, (session, snapshots) =>
          work(async (sql, options) => ({ ...(await session.query(sql, options)), snapshots })),
        ),
    },
    run: (signal) => live.run(signal),
    close() {
      live.close();
      void past.close();
    },
  };
}

async function openLockedSession(
  open: OpenLake,
  exports_folder: string,
  lock: readonly string[],
): Promise<QuerySession> {
  const session = await QuerySession.open(open, {
    memory_limit_mb: PAST_MEMORY_LIMIT_MB,
    threads: 2,
    profile_folder: exports_folder,
  });
  try {
    for (const statement of lock) await session.query(statement);
    return session;
  } catch (error) {
    session.close();
    throw error;
  }
}

function snapshotOf({
  table,
  snapshot_id,
  committed_at,
}: ReturnType<LiveLake["state"]>["tables"][number]): TableSnapshot[] {
  return snapshot_id === null || committed_at === null ? [] : [{ table, snapshot_id, committed_at }];
}
