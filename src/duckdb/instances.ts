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

/** Instances that use less have released few buffers. */
const FORGET_ABOVE_BYTES = 1024 * 1024;

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
  for (const tracked of open_instances.values())
    found.push({ name: tracked.name, tags: await measuring(tracked, memoryByTag) });
  return found;
}

/** The memory of an index cannot be evicted. */
const PIN = "CREATE TEMP TABLE IF NOT EXISTS pinned (id INTEGER PRIMARY KEY); INSERT OR IGNORE INTO pinned VALUES (1)";

/**
 * Forgets the buffers that queries have released. DuckDB keeps 230 bytes for each in a queue of what it may evict, and
 * removes none before a queue has 32,768: with eight queues up to 60 MB an instance, in a few hours of live views. It
 * empties the queues when it evicts all that it can, which it does for a memory limit below the memory in use; then it
 * rejects that limit and keeps its own. In-memory tables go to the spill folder until a query reads them.
 */
export async function forgetReleasedBuffers(): Promise<void> {
  for (const tracked of open_instances.values()) {
    await measuring(tracked, async (connection) => {
      const used_bytes = (await memoryByTag(connection)).reduce((sum, { size_bytes }) => sum + size_bytes, 0);
      if (used_bytes < FORGET_ABOVE_BYTES) return;
      // Otherwise the limit could be accepted, and would hold for other queries until it is restored.
      await connection.run(PIN);
      try {
        await connection.run("SET GLOBAL memory_limit = '1KB'");
      } catch (error) {
        if (!messageOf(error).includes("Failed to change memory limit")) throw error;
      } finally {
        // `current_setting` shows a rejected limit too.
        await connection.run(`SET GLOBAL memory_limit = '${tracked.memory_limit}'`);
      }
    });
  }
}

async function memoryByTag(connection: DuckDBConnection): Promise<InstanceMemory["tags"]> {
  const result = await connection.runAndReadAll(
    "SELECT tag, memory_usage_bytes FROM duckdb_memory() WHERE memory_usage_bytes > 0 ORDER BY tag",
  );
  return result.getRows().map(([tag, size_bytes]) => ({ tag: String(tag), size_bytes: Number(size_bytes) }));
}
