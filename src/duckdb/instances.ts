import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";

/** A DuckDB instance of this process, with a separate connection that measures it. */
interface Tracked {
  name: string;
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

/** The open instances of the process, for memory statistics. */
const open_instances = new Map<DuckDBInstance, Tracked>();

/** Includes the instance in the process's statistics until `closeInstance`. */
export async function trackInstance(instance: DuckDBInstance, name: string): Promise<void> {
  open_instances.set(instance, { name, connection: await instance.connect(), under_way: 0, close: null });
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
