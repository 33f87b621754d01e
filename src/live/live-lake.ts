import { onAbort } from "../base/abortable.ts";
import type { OpenLake } from "../lake/open.ts";
import { TailDatabase } from "../duckdb/tail-database.ts";
import type { ProfiledResult } from "../duckdb/profile.ts";
import type { ReadOptions } from "../duckdb/read.ts";
import { OperatingError } from "../base/errors.ts";
import { LAYERS } from "../lake/layers.ts";
import type { Clock } from "../base/clock.ts";
import type { LogRecord, PartitionBounds } from "../log/log.ts";
import { hasPassed } from "../base/pacing.ts";
import { pause, retryDelay_ms } from "../base/retry.ts";
import { throwIfRecordsLost } from "../transform/lost-records.ts";
import type { Pipeline, Tick } from "../pipeline/definition.ts";
import type { LiveModels } from "../transform/models.ts";
import { coversOffsets, equalOffsets, partitionKey, type LogOffsets } from "../log/offsets.ts";
import { AbsorbPace, RebindPace } from "./pace.ts";
import { shapeOf, type LiveShape } from "./shape.ts";
import { Tail, type Arrival } from "./tail.ts";
import { Views, type PinnedLakeTable } from "./views.ts";

export interface LiveLakeOptions {
  open: Pick<OpenLake, "catalog" | "server" | "log" | "s3">;
  pipeline: Pipeline;
  models: LiveModels;
  clock: Clock;
  memory_limit_mb?: number;
  threads?: number;
  /** The most that the tail holds; by default TAIL_LIMITS. */
  tail_limits?: typeof TAIL_LIMITS;
  /** Called with each failure that is retried. */
  failed?(error: OperatingError): void;
  /** Called once after failures. */
  recovered?(): void;
}

export interface AbsorbedBatch {
  /** Accepted ticks in the log's order, and within a record in the order of events. */
  ticks: readonly Tick[];
  records: number;
  /** The offsets that the tail has absorbed. */
  next: LogOffsets;
  absorbed_at_us: number;
}

export interface LiveState {
  next: LogOffsets;
  /** Records that at least one table has not consumed yet. */
  tail_records: number;
  tail_size_bytes: number;
  /** Event time of the oldest accepted record that a table has not consumed yet; null where there is none. */
  oldest_at_us: number | null;
  /** Records of the log that are not visible yet. */
  pending_records: number;
  absorbed_at_us: number | null;
  tables: PinnedLakeTable[];
  /** Why the tail absorbs nothing at the moment; null while it does. */
  stalled: string | null;
}

const MEMORY_LIMIT_MB = 256;
/**
 * Appending a batch to DuckDB blocks the event loop for about 20 µs per record. The memory that parsing needs grows
 * with its bytes.
 */
const BATCH = { max_records: 2_048, max_bytes: 1024 * 1024 };
/**
 * The most that the tail holds. A full tail stalls until the tables have consumed records, and reports it. It does not
 * begin with a backlog that it cannot hold: the tables take it in larger batches at a fraction of the cost.
 */
export const TAIL_LIMITS = { max_records: 150_000, max_bytes: 24 * 1024 * 1024 };
/** How often the tail checks the catalog for new snapshots, which costs a few reads of SQLite. */
const LOOK_MS = 500;
/** Above this share of the tail's limits the views are rebound to newer snapshots without delay. */
const TAIL_SHARE_BEFORE_REBIND = 0.1;

/**
 * The current state of the lake. `live.<table>` combines the table at one snapshot with the log records that the
 * snapshot has not consumed, transformed by the same SQL. A view changes its snapshot and its part of the tail in one
 * step, after the tail has absorbed what the snapshot has consumed and before rows are trimmed, so that no query sees a
 * record twice, misses one, or sees it in one table and not in the next.
 */
export class LiveLake {
  readonly #options: LiveLakeOptions;
  readonly #db: TailDatabase;
  readonly #shape: LiveShape;
  readonly #tail: Tail;
  readonly #views: Views;
  readonly #listeners = new Set<(batch: AbsorbedBatch) => void>();
  #next: LogOffsets = {};
  #absorbed_us: number | null = null;
  #looked_us = -Infinity;
  readonly #absorb_pace = new AbsorbPace();
  readonly #rebind_pace = new RebindPace();
  #pending_records = 0;
  readonly #limits: typeof TAIL_LIMITS;
  /** Mean payload of the last batch's records. */
  #record_bytes = 0;
  #stalled: string | null = null;
  /** Newer snapshots than those of the views, which the views wait for until the tail has absorbed as much. */
  #newer: readonly PinnedLakeTable[] = [];
  /** Whether the tail can continue only once the views have newer snapshots. */
  #needs_newer = false;
  /** The rebinding of views to newer snapshots that is in progress. */
  #rebinding: { end: Promise<void>; has_ended: boolean } | null = null;
  /** The offsets below which rows were trimmed; behind the tables' offsets after a failed trim, which is retried. */
  #trimmed_to: LogOffsets | null = null;

  private constructor(options: LiveLakeOptions, db: TailDatabase) {
    const { pipeline, models } = options;
    const parts = { live: pipeline.live, shape: shapeOf(pipeline, models), topic: pipeline.topic.name };
    this.#options = options;
    this.#limits = options.tail_limits ?? TAIL_LIMITS;
    this.#db = db;
    this.#shape = parts.shape;
    this.#tail = new Tail(db, parts);
    this.#views = new Views(db, parts);
  }

  /**
   * Binds the views to the tables' current snapshots, and absorbs what some of these have consumed and others not: all
   * views begin with the same records. The tail absorbs later records in `run` or `catchUp`.
   */
  static async open(options: LiveLakeOptions): Promise<LiveLake> {
    const { open, memory_limit_mb = MEMORY_LIMIT_MB, threads = 1 } = options;
    for (const layer of LAYERS)
      if (!(await open.catalog.hasNamespace([layer]))) await open.catalog.createNamespace([layer]);
    const db = await TailDatabase.open(open, { memory_limit_mb, threads });
    try {
      const lake = new LiveLake(options, db);
      await lake.#open();
      return lake;
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** Calls the listener after each batch has become visible. Returns a function that removes the listener. */
  onAbsorbed(listener: (batch: AbsorbedBatch) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Consumes the log and follows the tables' snapshots until the signal aborts. Reports and retries operating errors.
   */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#follow(signal);
    } finally {
      // The database must not close during a rebind; its result no longer matters.
      await this.#rebinding?.end.catch(() => {});
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { clock, failed, recovered } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const started_us = clock.now_us();
      try {
        await this.#followTables();
        const records = await this.#absorbNext();
        if (failures > 0) recovered?.();
        failures = 0;
        if (records === 0) {
          await this.#untilMore(signal);
          continue;
        }
        const ended_us = clock.now_us();
        const rest_ms = this.#absorb_pace.rest_ms(records, (ended_us - started_us) / 1000, ended_us / 1000);
        if (this.#pending_records === 0 && rest_ms > 0) await pause(clock, rest_ms, signal);
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        // Tables are still built without the live views, and a person can repair the cause during the run.
        if (!(error instanceof OperatingError)) throw error;
        this.#stalled = error.message;
        // A database that keeps failing frees memory, or leaves a damaged snapshot, only if the views do not wait.
        this.#needs_newer = failures > 1 && error.code === "LIVE_TAIL_FAILED";
        failed?.(error);
        await pause(clock, retryDelay_ms(failures), signal);
      }
    }
  }

  /**
   * Absorbs the records that the log has at the moment of the call, up to the tail's limits. Must not be called while
   * `run` runs.
   */
  async catchUp(): Promise<void> {
    const bounds = await this.#options.open.log.bounds(this.#options.pipeline.topic.name);
    const follow = async (): Promise<void> => {
      await this.#followTables(true);
      await this.#awaitRebind();
    };
    do await follow();
    while ((await this.#absorbNext()) > 0 && bounds.some((bound) => this.#nextOffset(bound) < bound.end));
    // The views' newer snapshots may have waited for the last batch.
    await follow();
  }

  /**
   * Resolves once the tail has absorbed the offsets, or the signal aborts. Only while `run` runs. Throws RECORDS_LOST
   * if it never can.
   */
  async until(offsets: LogOffsets, signal: AbortSignal): Promise<void> {
    const { open, pipeline } = this.#options;
    const topic = pipeline.topic.name;
    while (!signal.aborted) {
      const bounds = await open.log.bounds(topic);
      await throwIfRecordsLost(open.catalog, pipeline, bounds, this.#next);
      const reached = bounds.map((bound) => [partitionKey(topic, bound.partition), this.#nextOffset(bound)] as const);
      if (coversOffsets(Object.fromEntries(reached), offsets)) return;
      await this.#nextAbsorbed(signal);
    }
  }

  /** Resolves after the next batch, after `LOOK_MS`, or when the signal aborts. */
  async #nextAbsorbed(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => end(), LOOK_MS);
      const listening = [this.onAbsorbed(() => end())];
      const end = (): void => {
        clearTimeout(timer);
        for (const stopListening of listening) stopListening();
        resolve();
      };
      listening.push(onAbort(signal, end));
    });
  }

  /**
   * Runs SQL over `live.<table>`, and over the tables' current snapshots as `layer.<table>`. The result has the
   * snapshots that the live views read. Throws INVALID_SQL, QUERY_CANCELLED.
   */
  async query(sql: string, options: ReadOptions = {}): Promise<ProfiledResult & { tables: PinnedLakeTable[] }> {
    let tables: PinnedLakeTable[] = [];
    const result = await this.#db.query(sql, options, () => (tables = this.#views.bound()));
    return { ...result, tables };
  }

  /**
   * Adds scan statistics to all later results, for up to `readers` concurrent queries. Must be called before the
   * database is locked.
   */
  profile(readers: number, folder: string): Promise<void> {
    return this.#db.profile(readers, folder);
  }

  state(): LiveState {
    const { records, size_bytes } = this.#tail.size;
    return {
      next: { ...this.#next },
      tail_records: records,
      tail_size_bytes: size_bytes,
      oldest_at_us: this.#tail.oldest_at_us,
      pending_records: this.#pending_records,
      absorbed_at_us: this.#absorbed_us,
      tables: this.#views.bound(),
      stalled: this.#stalled,
    };
  }

  close(): void {
    this.#db.close();
  }

  async #open(): Promise<void> {
    await this.#views.open();
    const tables = await this.#views.loadSnapshots(this.#options.open.catalog);
    const before = this.#views.boundOf(this.#shape.accepted);
    await this.#tail.open(tables.find(({ table }) => table === before.table) ?? before);
    await this.#bindTo(tables);
    await this.#rebinding?.end;
    this.#next = { ...this.#views.absorbed() };
    await this.#awaitRebind();
    await this.#reachTables();
  }

  /** Absorbs up to the offsets of the snapshots that the views read, unless that is more than the tail may hold. */
  async #reachTables(): Promise<void> {
    const bound = this.#views.bound();
    try {
      while (bound.some(({ offsets }) => !coversOffsets(this.#next, offsets)))
        if ((await this.#absorbNext()) === 0) return;
    } catch (error) {
      // `run` tries again, and reports a failure that lasts.
      if (!(error instanceof OperatingError)) throw error;
      this.#stalled = error.message;
    }
  }

  /** Rebinds the views when tables have new snapshots. Records are still absorbed during the rebind. */
  async #followTables(is_hurried = false): Promise<void> {
    if (this.#rebinding?.has_ended === false) return;
    await this.#awaitRebind();
    if (this.#newer.length === 0 || this.#needs_newer) await this.#lookForNewer(is_hurried);
    const newer = this.#newer;
    // Else bronze would have records that the other views get from the tail, which does not have them yet.
    const has_absorbed = newer.every(({ offsets }) => coversOffsets(this.#next, offsets));
    if (newer.length === 0 || (!has_absorbed && !this.#needs_newer)) return;
    this.#newer = [];
    await this.#bindTo(newer);
  }

  async #lookForNewer(is_hurried: boolean): Promise<void> {
    const now_us = this.#options.clock.now_us();
    if (!hasPassed(now_us - this.#looked_us, LOOK_MS)) return;
    if (!is_hurried && !this.#mayRebind(now_us)) return;
    this.#looked_us = now_us;
    this.#newer = (await this.#views.loadSnapshots(this.#options.open.catalog)).filter((bound) =>
      this.#views.hasMoved(bound),
    );
  }

  /** A stalled tail rebinds without delay, because it waits for the tables. */
  #mayRebind(now_us: number): boolean {
    if (this.#needs_newer || this.#rebind_pace.isDue(now_us)) return true;
    const { records, size_bytes } = this.#tail.size;
    return (
      records > this.#limits.max_records * TAIL_SHARE_BEFORE_REBIND ||
      size_bytes > this.#limits.max_bytes * TAIL_SHARE_BEFORE_REBIND
    );
  }

  /** Starts a rebind; `#awaitRebind` waits for its end. */
  async #bindTo(moved: readonly PinnedLakeTable[]): Promise<void> {
    for (const bound of moved) {
      const seed = this.#views.isSeed(bound);
      if (seed) await this.#db.transact(() => this.#tail.takeSeed(seed, bound));
    }
    const { clock } = this.#options;
    const began_us = clock.now_us();
    const rebinding = { end: this.#views.replace(moved), has_ended: false };
    // `#awaitRebind` reports the error; until then the rejection must not count as unhandled.
    rebinding.end
      .catch(() => {})
      .finally(() => {
        this.#rebind_pace.took(began_us, clock.now_us());
        rebinding.has_ended = true;
      });
    this.#rebinding = rebinding;
  }

  /** Waits for the rebind in progress, and trims the rows that no view needs afterwards. */
  async #awaitRebind(): Promise<void> {
    const rebinding = this.#rebinding;
    this.#rebinding = null;
    await rebinding?.end;
    await this.#trimTail();
  }

  /**
   * Deletes rows that all tables have consumed. An increment commits table by table, and the last commit releases the
   * rows.
   */
  async #trimTail(): Promise<void> {
    const absorbed = this.#views.absorbed();
    if (this.#trimmed_to !== null && equalOffsets(absorbed, this.#trimmed_to)) return;
    if (coversOffsets(absorbed, this.#next) && !equalOffsets(absorbed, this.#next)) {
      await this.#continueAt(absorbed);
      return;
    }
    const trimmed = await this.#db.transact(() => this.#tail.trim(absorbed));
    trimmed.committed();
    if (trimmed.has_deleted) await this.#db.compact();
    this.#trimmed_to = absorbed;
  }

  /**
   * Continues where every table is, after a backlog that was left to them. Listeners receive the newest tick of each
   * subject; alerts read all ticks of the gap from the lake's history.
   */
  async #continueAt(absorbed: LogOffsets): Promise<void> {
    const ticks = await this.#tail.beginAfter(this.#next, absorbed, this.#views.boundOf(this.#shape.accepted));
    this.#next = { ...absorbed };
    this.#trimmed_to = absorbed;
    this.#absorbed_us = this.#options.clock.now_us();
    this.#tell({ ticks, records: 0, next: this.#next, absorbed_at_us: this.#absorbed_us });
  }

  #tell(batch: AbsorbedBatch): void {
    for (const listener of this.#listeners) listener(batch);
  }

  /** Absorbs one batch and returns its number of records; 0 where there are none, or where the tail is full. */
  async #absorbNext(): Promise<number> {
    const { open, pipeline, clock } = this.#options;
    const topic = pipeline.topic.name;
    const bounds = await open.log.bounds(topic);
    this.#pending_records = bounds.reduce((sum, bound) => sum + Math.max(0, bound.end - this.#nextOffset(bound)), 0);
    const backlog = (bound: PartitionBounds) => bound.end - this.#nextOffset(bound);
    const waiting = bounds.reduce<PartitionBounds | undefined>(
      (most, bound) => (backlog(bound) > (most ? backlog(most) : 0) ? bound : most),
      undefined,
    );
    this.#needs_newer = !this.#mayAbsorb();
    if (this.#needs_newer || waiting === undefined) return 0;
    const arrival = await this.#arrivalOf(waiting);
    this.#needs_newer = arrival === null;
    if (arrival === null) return 0;
    const before_bytes = this.#tail.size.size_bytes;
    const ticks = await this.#tail.absorb(arrival, this.#next, this.#views.boundOf(this.#shape.accepted));
    const records = arrival.kind === "log" ? arrival.records.length : arrival.to - arrival.from;
    this.#next = { ...this.#next, [partitionKey(topic, waiting.partition)]: this.#nextOffset(waiting) + records };
    this.#pending_records -= records;
    this.#absorbed_us = clock.now_us();
    this.#record_bytes = (this.#tail.size.size_bytes - before_bytes) / records;
    this.#tell({ ticks, records, next: this.#next, absorbed_at_us: this.#absorbed_us });
    return records;
  }

  #mayAbsorb(): boolean {
    const { records, size_bytes } = this.#tail.size;
    const needed_bytes = size_bytes + this.#pending_records * this.#record_bytes;
    const seed = this.#shape.seeds.find((relation) => this.#views.boundOf(relation).snapshot_id === null);
    if (seed) this.#stalled = `The seed ${seed.name} is not loaded yet, and records are read with it.`;
    else if (records + this.#pending_records > this.#limits.max_records || needed_bytes > this.#limits.max_bytes) {
      this.#stalled = "More records wait than the live views can hold; they become visible once the tables have them.";
    } else this.#stalled = null;
    return this.#stalled === null;
  }

  /**
   * The next records of a partition: from the log, or from bronze where the log has pruned them. Null where neither has
   * them yet.
   */
  async #arrivalOf({ partition, begin, end }: PartitionBounds): Promise<Arrival | null> {
    const { pipeline } = this.#options;
    const from = this.#nextOffset({ partition, begin, end });
    if (from >= begin) {
      const records = await this.#readLog(partition, from);
      return records.length === 0 ? null : { kind: "log", partition, from, records };
    }
    const bronze = this.#views.boundOf(this.#shape.bronze);
    const to = Math.min(
      begin,
      from + BATCH.max_records,
      bronze.offsets[partitionKey(pipeline.topic.name, partition)] ?? 0,
    );
    return to > from ? { kind: "bronze", bronze, partition, from, to } : null;
  }

  /** Empty where the log has just pruned the records; bronze has them. */
  async #readLog(partition: number, from: number): Promise<LogRecord[]> {
    try {
      return await this.#options.open.log.read(this.#options.pipeline.topic.name, partition, from, BATCH);
    } catch (error) {
      if (error instanceof OperatingError && error.code === "OFFSET_PRUNED") return [];
      throw error;
    }
  }

  /** The next offset that the tail absorbs from a partition; the log's begin where no table has consumed any. */
  #nextOffset({ partition, begin }: PartitionBounds): number {
    return this.#next[partitionKey(this.#options.pipeline.topic.name, partition)] ?? begin;
  }

  /** Resolves when the log has more records, or after `LOOK_MS`. */
  async #untilMore(signal: AbortSignal): Promise<void> {
    const { open, pipeline, clock } = this.#options;
    if (this.#pending_records > 0) {
      await pause(clock, LOOK_MS, signal);
      return;
    }
    const topic = pipeline.topic.name;
    const ends = (await open.log.bounds(topic)).map((bound) => ({ ...bound, end: this.#nextOffset(bound) }));
    // AbortSignal.any would leak: each derived signal stays with one that lives as long as the process.
    const look = new AbortController();
    const wake = (): void => look.abort();
    const timer = setTimeout(wake, LOOK_MS);
    const stopListening = onAbort(signal, wake);
    try {
      await open.log.waitForAppend(topic, ends, look.signal);
    } finally {
      clearTimeout(timer);
      stopListening();
    }
  }
}
