import { onAbort } from "../base/abortable.ts";
import type { OpenLake } from "../lake/open.ts";
import { TailDatabase } from "../duckdb/tail-database.ts";
import type { ProfiledResult } from "../duckdb/profile.ts";
import type { ReadOptions } from "../duckdb/read.ts";
import { OperatingError } from "../base/errors.ts";
import { LAYERS } from "../lake/layers.ts";
import type { Clock } from "../base/clock.ts";
import type { LogRecord, PartitionBounds } from "../log/log.ts";
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
  /** Told of failures that are tried again. */
  failed?(error: OperatingError): void;
}

export interface AbsorbedBatch {
  /** What was accepted, record by record in the log's order, in each record in the order of events. */
  ticks: readonly Tick[];
  records: number;
  /** The offsets that the tail has absorbed. */
  next: LogOffsets;
  absorbed_at_us: number;
}

export interface LiveState {
  next: LogOffsets;
  /** Records that some table has not absorbed yet. */
  tail_records: number;
  tail_size_bytes: number;
  /** Event time of the oldest accepted record that some table has not absorbed yet; null where there is none. */
  oldest_at_us: number | null;
  /** Records of the log that are not visible yet. */
  pending_records: number;
  absorbed_at_us: number | null;
  tables: PinnedLakeTable[];
  /** Why nothing is absorbed at the moment; null where all is well. */
  stalled: string | null;
}

const MEMORY_LIMIT_MB = 192;
/** A batch blocks the event loop while it is handed over: about 20 µs a record. What parsing takes of memory grows with its bytes. */
const BATCH = { max_records: 2_048, max_bytes: 1024 * 1024 };
/** At most this much waits for the tables; then the tail waits for them, and says so. */
export const TAIL_LIMITS = { max_records: 150_000, max_bytes: 24 * 1024 * 1024 };
/** How often the catalog is asked whether tables have moved on; asking costs a few reads of SQLite. */
const LOOK_MS = 500;
/** The views move to newer snapshots at once when the tail has grown to this share of its limits. */
const TAIL_SHARE_BEFORE_REBIND = 0.1;

/**
 * The lake as of now. `live.<table>` is the table at one snapshot and, of the log, what that snapshot has not absorbed, cleaned by
 * the same SQL. Each view goes from one snapshot to the next together with the end of the tail that it adds, and rows are
 * forgotten after that, so no query sees a record twice or not at all.
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
  #stalled: string | null = null;
  /** The views on their way to newer snapshots. */
  #rebinding: { end: Promise<void>; has_ended: boolean } | null = null;
  /** The offsets below which rows were trimmed; behind the tables' offsets after a failed trim, which is retried. */
  #trimmed_to: LogOffsets | null = null;

  private constructor(options: LiveLakeOptions, db: TailDatabase) {
    const { pipeline, models } = options;
    const parts = { live: pipeline.live, shape: shapeOf(pipeline, models), topic: pipeline.topic.name };
    this.#options = options;
    this.#db = db;
    this.#shape = parts.shape;
    this.#tail = new Tail(db, parts);
    this.#views = new Views(db, parts);
  }

  /** The views read the tables as they stand; the tail is empty until `run` or `catchUp`. */
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

  /** Told of every batch after it has become visible. Returns how to stop listening. */
  onAbsorbed(listener: (batch: AbsorbedBatch) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Follows the log and the tables until the signal aborts. Operating errors are reported and tried again. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#follow(signal);
    } finally {
      // Nobody may close the database under it; how it ended is nobody's concern any more.
      await this.#rebinding?.end.catch(() => {});
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { clock, failed } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const started_us = clock.now_us();
      try {
        await this.#followTables();
        const records = await this.#absorbNext();
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
        // In every case the tables go on without the live views, and a person repairs it beside the run.
        if (!(error instanceof OperatingError)) throw error;
        this.#stalled = error.message;
        failed?.(error);
        await pause(clock, retryDelay_ms(failures), signal);
      }
    }
  }

  /** Absorbs what the log holds, as far as there is room for it. Not beside `run`. */
  async catchUp(): Promise<void> {
    do {
      await this.#followTables(true);
      await this.#awaitRebind();
    } while ((await this.#absorbNext()) > 0);
  }

  /** Resolves once the tail has absorbed the offsets, or the signal aborts. Only while `run` runs. Throws RECORDS_LOST if it never can. */
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

  /** Resolves after the next batch, the time between two looks at the tables, or the signal. */
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

  /** SQL over `live.<table>`, and over the tables' heads as `layer.<table>`. Throws BAD_SQL, QUERY_CANCELLED. */
  query(sql: string, options: ReadOptions = {}): Promise<ProfiledResult> {
    return this.#db.query(sql, options);
  }

  /** From now on results tell what their scans read, up to so many at once. To be called before a lock. */
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
    await this.#awaitRebind();
    this.#next = { ...this.#views.absorbed() };
  }

  /** Takes up, now and then, that tables have moved. Records go on being absorbed while the views are on their way. */
  async #followTables(is_hurried = false): Promise<void> {
    if (this.#rebinding?.has_ended === false) return;
    await this.#awaitRebind();
    const now_us = this.#options.clock.now_us();
    if (now_us - this.#looked_us < LOOK_MS * 1000 && now_us >= this.#looked_us) return;
    if (!is_hurried && !this.#mayRebind(now_us)) return;
    this.#looked_us = now_us;
    const moved = (await this.#views.loadSnapshots(this.#options.open.catalog)).filter((bound) =>
      this.#views.hasMoved(bound),
    );
    if (moved.length > 0) await this.#bindTo(moved);
  }

  /** A tail that is stalled waits for the tables. */
  #mayRebind(now_us: number): boolean {
    if (this.#stalled !== null || this.#rebind_pace.isDue(now_us)) return true;
    const { records, size_bytes } = this.#tail.size;
    return (
      records > TAIL_LIMITS.max_records * TAIL_SHARE_BEFORE_REBIND ||
      size_bytes > TAIL_LIMITS.max_bytes * TAIL_SHARE_BEFORE_REBIND
    );
  }

  /** Begins to; `#awaitRebind` waits for the end. */
  async #bindTo(moved: readonly PinnedLakeTable[]): Promise<void> {
    for (const bound of moved) {
      const seed = this.#views.isSeed(bound);
      if (seed) await this.#db.transact(() => this.#tail.takeSeed(seed, bound));
    }
    const { clock } = this.#options;
    const began_us = clock.now_us();
    const rebinding = { end: this.#views.replace(moved), has_ended: false };
    // Whoever awaits `end` sees its error; until then it must not count as unhandled.
    rebinding.end
      .catch(() => {})
      .finally(() => {
        this.#rebind_pace.took(began_us, clock.now_us());
        rebinding.has_ended = true;
      });
    this.#rebinding = rebinding;
  }

  /** Waits until the views read what they were bound to last, and lets go what none of them adds any more. */
  async #awaitRebind(): Promise<void> {
    const rebinding = this.#rebinding;
    this.#rebinding = null;
    await rebinding?.end;
    await this.#trimTail();
  }

  /** Forgets what no view adds to its table any more. Of the tables that an increment moves one after the other, the last one lets rows go. */
  async #trimTail(): Promise<void> {
    const absorbed = this.#views.absorbed();
    if (this.#trimmed_to !== null && equalOffsets(absorbed, this.#trimmed_to)) return;
    const trimmed = await this.#db.transact(() => this.#tail.trim(absorbed));
    trimmed();
    await this.#db.compact();
    this.#trimmed_to = absorbed;
  }

  /** How many records it took in; 0 where there are none, or no room for them. */
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
    if (!this.#mayAbsorb() || waiting === undefined) return 0;
    const arrival = await this.#arrivalOf(waiting);
    if (arrival === null) return 0;
    const ticks = await this.#tail.absorb(arrival, this.#next, this.#views.boundOf(this.#shape.accepted));
    const records = arrival.kind === "log" ? arrival.records.length : arrival.to - arrival.from;
    this.#next = { ...this.#next, [partitionKey(topic, waiting.partition)]: this.#nextOffset(waiting) + records };
    this.#pending_records -= records;
    this.#absorbed_us = clock.now_us();
    const batch: AbsorbedBatch = { ticks, records, next: this.#next, absorbed_at_us: this.#absorbed_us };
    for (const listener of this.#listeners) listener(batch);
    return records;
  }

  #mayAbsorb(): boolean {
    const { records, size_bytes } = this.#tail.size;
    const seed = this.#shape.seeds.find((relation) => this.#views.boundOf(relation).snapshot_id === null);
    if (seed) this.#stalled = `The seed ${seed.name} is not loaded yet, and records are read with it.`;
    else if (records >= TAIL_LIMITS.max_records || size_bytes >= TAIL_LIMITS.max_bytes) {
      this.#stalled = `${records} records (${Math.round(size_bytes / 1e6)} MB) wait for the tables; what comes after them is not visible yet.`;
    } else this.#stalled = null;
    return this.#stalled === null;
  }

  /** The next records of a partition: from the log, or from bronze where the log has forgotten them. Null where neither has them yet. */
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

  /** Nothing where the log forgot it just now: bronze has it. */
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

  /** Until the log holds more than it did, or it is time to look at the tables. */
  async #untilMore(signal: AbortSignal): Promise<void> {
    const { open, pipeline, clock } = this.#options;
    if (this.#pending_records > 0) {
      await pause(clock, LOOK_MS, signal);
      return;
    }
    const topic = pipeline.topic.name;
    const ends = (await open.log.bounds(topic)).map((bound) => ({ ...bound, end: this.#nextOffset(bound) }));
    // Not AbortSignal.any: each of them would stay with a signal that lives as long as the process.
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
