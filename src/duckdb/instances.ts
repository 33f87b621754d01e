import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";

/** A DuckDB of this process, with a connection that only measures it. */
interface Tracked {
  name: string;
  memory_limit: string;
  connection: DuckDBConnection;
  /** Statements on that connection that have not ended. Closing under one of them would crash the process. */
  under_way: number;
  /** Set by `closeInstance`; runs when the last statement has ended. */
  close: (() => void) | null;
}

export interface InstanceMemory {
  /** What the instance is for; the same for several that serve one purpose. */
  name: string;
  /** Memory that DuckDB accounts for, by what it holds (`duckdb_memory()`); tags without any are left out. */
  tags: { tag: string; size_bytes: number }[];
}

/** The open instances. They belong to the process, as its memory does: figures about it and the release of free memory need all of them. */
const open_instances = new Map<DuckDBInstance, Tracked>();

/** Counts the instance among those of this process until `closeInstance`. */
export async function trackInstance(
  instance: DuckDBInstance,
  { name, memory_limit }: Pick<Tracked, "name" | "memory_limit">,
): Promise<void> {
  open_instances.set(instance, { name, memory_limit, connection: await instance.connect(), under_way: 0, close: null });
}

/** Closes a tracked instance; its connections must be closed already. Where it is being measured, it is closed right after that. */
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
  // One that is closed meanwhile is left out: a map goes on with what it still holds.
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
 * Returns free memory of the C heap to the system, for the whole process; no effect without an open instance, or where the C library is not glibc.
 * DuckDB allocates there, in bursts and from several threads, and glibc keeps freed pages that lie below a used one. Setting a memory limit
 * makes DuckDB call malloc_trim(0), which releases them; the limit set is the one that holds.
 */
export async function releaseFreeMemory(): Promise<void> {
  const [any] = open_instances.values();
  if (any === undefined) return;
  await measuring(any, (connection) => connection.run(`SET GLOBAL memory_limit = '${any.memory_limit}'`));
}
