import { lockStatements } from "../../duckdb/lock.ts";
import { enginePath } from "../../duckdb/sql.ts";
import type { OpenLake } from "../../lake/open.ts";
import { QuerySession, type TableSnapshot } from "../../duckdb/session.ts";
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
 * Opens the lake for the console: a live tail and a time-travel session, confined to the lake and the export folder.
 */
export async function openConsoleLake(
  open: OpenLake,
  pipeline: Pipeline,
  models: LiveModels,
  exports_folder: string,
): Promise<ConsoleLake> {
  const allowed_locations = [enginePath(open.lake.warehouse), open.server.url, exports_folder];
  const lake = await LiveLake.open({
    open,
    pipeline,
    models,
    clock: systemClock,
    memory_limit_mb: MEMORY_LIMIT_MB,
    threads: 2,
  });
  const reports = new TableReports(open);
  await lake.profile(MAX_RUNNING, exports_folder);
  for (const statement of lockStatements(allowed_locations)) await lake.query(statement);
  // The first query must see all records that are in the log now.
  await lake.catchUp();
  let session: Promise<QuerySession> | null = null;
  let turn: Promise<unknown> = Promise.resolve();
  const openSession = async () => {
    const opened = await QuerySession.open(open, {
      memory_limit_mb: PAST_MEMORY_LIMIT_MB,
      threads: 2,
      profile_folder: exports_folder,
    });
    try {
      for (const statement of lockStatements(allowed_locations)) await opened.query(statement);
      return opened;
    } catch (error) {
      opened.close();
      throw error;
    }
  };
  return {
    engine: {
      query: (sql, options) => lake.query(sql, options),
      snapshots: () => lake.state().tables.flatMap(snapshotOf),
      describe: (scans, snapshots, of) => describeScans(reports, scans, snapshots, of),
      past(at_ms, work) {
        session ??= openSession();
        const opened = session;
        // The next query retries a session that failed to open.
        opened.catch(() => {
          if (session === opened) session = null;
        });
        const result = turn.then(async () => {
          const own = await opened;
          const snapshots = await own.travelTo(at_ms);
          return work((sql, options) => own.query(sql, options), snapshots);
        });
        turn = result.catch(() => {});
        return result;
      },
    },
    run: (signal) => lake.run(signal),
    close() {
      lake.close();
      // The query that opened a session has already received its failure.
      void session?.then(
        (own) => own.close(),
        () => {},
      );
    },
  };
}

function snapshotOf({
  table,
  snapshot_id,
  committed_at,
}: ReturnType<LiveLake["state"]>["tables"][number]): TableSnapshot[] {
  return snapshot_id === null || committed_at === null ? [] : [{ table, snapshot_id, committed_at }];
}
