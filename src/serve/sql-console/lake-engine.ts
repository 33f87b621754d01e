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

/** A lake opened for typed SQL: a live tail of its own, and a session for the past, both locked to the lake's files and the exports' folder. */
export async function openConsoleLake(
  open: OpenLake,
  pipeline: Pipeline,
  models: LiveModels,
  exports_folder: string,
): Promise<ConsoleLake> {
  const places = [enginePath(open.lake.warehouse), open.server.url, exports_folder];
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
  for (const statement of lockStatements(places)) await lake.query(statement);
  // The first query is to see what is there, not the beginning of it.
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
      for (const statement of lockStatements(places)) await opened.query(statement);
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
        // A session that could not be opened is tried anew by the next who needs one.
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
      // One that could not be opened has told whoever asked for it.
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
