import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { messageOf } from "../base/errors.ts";

/** A DuckDB instance of this process, with a separate connection that measures it. */
interface Tracked {
  name: string;
  memory_limit: string;
  connection: DuckDBConnection;
  /** Running statements on that connection. Closing the instance during one would crash the process. */
  under_way: number;
  /** Set by `closeInstance`; runs when the last statement has ended. */
  close: (() => void) | null;
}

export interface InstanceMemory {
  /** The purpose of the instance; instances of one purpose share the name. */
  name: string;
  /** Memory that DuckDB accounts for, by tag (`duckdb_memory()`); tags without memory are omitted. */
  tags: { tag: string; size_bytes: number }[];
}

/** The open instances of the process, whose memory is measured and kept small. */
const open_instances = new Map<DuckDBInstance, Tracked>();

/** Includes the instance in the process's statistics until `closeInstance`. */
export async function trackInstance(
  instance: DuckDBInstance,
  { name, memory_limit }: Pick<Tracked, "name" | "memory_limit">,
): Promise<void> {
  open_instances.set(instance, { name, memory_limit, connection: await instance.connect(), under_way: 0, close: null });
}

/** Closes a tracked instance, whose other connections must be closed already; waits for a running measurement. */
export function closeInstance(instance: DuckDBInstance): void {
  const tracked = open_instances.get(instance);
  open_instances.delete(instance);
  const close = (): void => {
    tracked?.connection.closeSync();
    instance.closeSync();
  };
  if (tracked === undefined || tracked.under_way === 0) close();
  else tracked.close = close;
}

async function measuring<T>(tracked: Tracked, work: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
  tracked.under_way += 1;
  try {
    return await work(tracked.connection);
  } finally {
    tracked.under_way -= 1;
    if (tracked.under_way === 0) tracked.close?.();
  }
}

/** Memory of every open instance. */
export async function instanceMemory(): Promise<InstanceMemory[]> {
  const found: InstanceMemory[] = [];
  // Skips instances that are closed meanwhile: a map's iterator omits deleted entries.
  for (const tracked of open_instances.values()) {
    const result = await measuring(tracked, (connection) =>
      connection.runAndReadAll(
        "SELECT tag, memory_usage_bytes FROM duckdb_memory() WHERE memory_usage_bytes > 0 ORDER BY tag",
      ),
    );
    found.push({
      name: tracked.name,
      tags: result.getRows().map(([tag, size_bytes]) => ({ tag: String(tag), size_bytes: Number(size_bytes) })),
    });
  }
  return found;
}

/**
 * An index of 20,000 numbers, whose memory cannot be evicted: more than the 32 KiB for each processor by which DuckDB's
 * count of the memory in use may be too low.
 */
const PIN =
  "CREATE TEMP TABLE IF NOT EXISTS pinned (id INTEGER PRIMARY KEY); INSERT OR IGNORE INTO pinned FROM range(20000)";

/**
 * Forgets the buffers that queries have released. DuckDB keeps 230 bytes for each in a queue of what it may evict, and
 * removes none before a queue has 32,768: with eight queues up to 60 MB an instance, in a few hours of live views. It
 * also empties the queues when it evicts all that it can, which it does for a memory limit below the memory in use;
 * then it rejects that limit. In-memory tables go to the spill folder until a query reads them. Throws the first error,
 * after all instances.
 */
export async function forgetReleasedBuffers(): Promise<void> {
  const errors: unknown[] = [];
  for (const tracked of open_instances.values())
    await measuring(tracked, (connection) => forgetBuffersOf(connection, tracked.memory_limit)).catch(
      (error: unknown) => errors.push(error),
    );
  if (errors.length > 0) throw errors[0];
}

async function forgetBuffersOf(connection: DuckDBConnection, memory_limit: string): Promise<void> {
  // The pinned memory makes DuckDB reject the limit. An accepted limit would apply to concurrent queries.
  await connection.run(PIN);
  try {
    await connection.run("SET GLOBAL memory_limit = '1KB'");
  } catch (error) {
    if (!messageOf(error).includes("Failed to change memory limit")) throw error;
  } finally {
    // `current_setting` shows a rejected limit too.
    await connection.run(`SET GLOBAL memory_limit = '${memory_limit}'`);
  }
}
