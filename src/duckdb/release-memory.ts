import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import { setFlagsFromString } from "node:v8";
import { forgetReleasedBuffers } from "./instances.ts";

/**
 * The check interval. A release takes tens of milliseconds on another thread, and threads that allocate meanwhile wait
 * for it.
 */
const LOOK_MS = 1_000;
/** The maximum share of time for releases, so that far less than one record in a hundred waits for one. */
const SHARE_OF_TIME = 0.002;
/** The minimum growth that is worth a release. */
const GROWTH_BYTES = 16 * 1024 * 1024;
/** Growth that is released at once, regardless of the share of time: the process is absorbing a backlog. */
const BURST_BYTES = 64 * 1024 * 1024;
/** The live views of a pipeline release some ten thousand buffers in this time. */
const FORGET_INTERVAL_MS = 600_000;
const PAUSE_AFTER_FAILURE_MS = 60_000;

/**
 * Growth of the JavaScript heap between two full collections. Messages outlive the young generation; by default V8 lets
 * the surviving heap double first, and that of a process that allocates slowly grow fourfold, and keeps the external
 * buffers of its garbage as long. At 1,000 records a second, resident memory then varies between 380 and 510 MB; with
 * this setting it stays at 430 MB.
 */
const HEAP_GROWTH_PERCENT = 30;

const RELEASER = { memory_limit: "16MB", threads: "1", temp_directory: "" };

let releaser: Promise<DuckDBConnection> | null = null;

/**
 * Returns the free memory of the whole process to the system, of DuckDB's allocator and, with glibc, of the C heap.
 * DuckDB allocates in bursts and from several threads, and glibc keeps freed pages below a used one. Setting a memory
 * limit makes DuckDB release them (`Allocator::FlushAll`, `malloc_trim`). A separate instance of 3 MB does so: one with
 * locked settings, such as the SQL console's, would reject the statement.
 */
export async function releaseFreeMemory(): Promise<void> {
  releaser ??= DuckDBInstance.create(":memory:", RELEASER)
    .then((instance) => instance.connect())
    .catch((error: unknown) => {
      releaser = null;
      throw error;
    });
  await (await releaser).run(`SET GLOBAL memory_limit = '${RELEASER.memory_limit}'`);
}

/**
 * Keeps resident memory close to the memory in use: collects JavaScript's garbage earlier, checks at an interval
 * whether resident memory has grown since the last release, and releases free memory if so. Every ten minutes DuckDB
 * forgets the buffers that queries have released. Returns a function that stops both. `failed` receives errors; a
 * release is tried again after a minute.
 */
export function keepMemoryReleased(failed: (error: unknown) => void): () => void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
  let least_bytes = 0;
  let is_releasing = false;
  let next_ms = -Infinity;
  let pause_until_ms = -Infinity;
  const look = async (): Promise<void> => {
    const rss_bytes = process.memoryUsage.rss();
    least_bytes = Math.min(least_bytes, rss_bytes);
    const began_ms = performance.now();
    const growth_bytes = rss_bytes - least_bytes;
    if (
      is_releasing ||
      began_ms < pause_until_ms ||
      growth_bytes < GROWTH_BYTES ||
      (began_ms < next_ms && growth_bytes < BURST_BYTES)
    )
      return;
    is_releasing = true;
    try {
      await releaseFreeMemory();
      least_bytes = process.memoryUsage.rss();
      next_ms = began_ms + (performance.now() - began_ms) / SHARE_OF_TIME;
    } catch (error) {
      failed(error);
      pause_until_ms = performance.now() + PAUSE_AFTER_FAILURE_MS;
    } finally {
      is_releasing = false;
    }
  };
  const timers = [
    setInterval(() => void look(), LOOK_MS),
    setInterval(() => void forgetReleasedBuffers().catch(failed), FORGET_INTERVAL_MS),
  ];
  for (const timer of timers) timer.unref();
  return () => timers.forEach(clearInterval);
}
