import { setTimeout as wait } from "node:timers/promises";
import { canonicalLong } from "../iceberg/long.ts";
import type { LoadedTable, Long, TableCatalog, TableIdentifier } from "../iceberg/model.ts";
import { backoffDelay_ms } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { OperatingError, UnknownOutcome, messageOf } from "../base/errors.ts";
import type { AppendStager } from "../iceberg/append.ts";
import type { DataFile } from "../iceberg/manifest-model.ts";
import type { SourceReport } from "../producer/producer.ts";
import { deleteIfPossible } from "../storage/own-files.ts";
import type { Storage } from "../storage/storage.ts";
import { equalOffsets, withOffsetsOfTopic, type LogOffsets, type PartitionOffsets } from "../log/offsets.ts";
import { readOffsets, writeOffsets } from "./offsets.ts";
import { LOG_OFFSETS_PROPERTY } from "../iceberg/metadata/log-offsets.ts";

/** Backoff after a failed commit; half of each delay is random. */
const BACKOFF = { base_ms: 50, cap_ms: 5_000 };
/** About seven seconds in total: longer than another writer's commit, short enough for a person to wait. */
const MAX_COMMIT_ATTEMPTS = 8;

export interface Publisher {
  catalog: TableCatalog;
  storage: Storage;
  stager: AppendStager;
  clock: Clock;
  /** A commit without an answer after this time has an unknown outcome. */
  commit_timeout_ms: number;
  report(report: SourceReport): void;
}

/** Data files that hold exactly the records of `topic` from `from` up to `next`. */
export interface Batch {
  topic: string;
  from: PartitionOffsets;
  next: PartitionOffsets;
  files: readonly DataFile[];
}

/**
 * Commits rows and offsets in one transaction. Data files are written once; each attempt stages them on the current
 * table. Returns the table with the batch; or, where another ingester has advanced the offsets, that ingester's table
 * with `is_ours` false. Throws COMMIT_STALLED after too many attempts, and errors that are not retryable at once.
 *
 * The table's offsets are authoritative: after an attempt with an unknown outcome they show whether the rows were
 * committed. Files are deleted only when every attempt is known to have failed.
 */
export async function publish(
  publisher: Publisher,
  table: LoadedTable,
  batch: Batch,
): Promise<{ table: LoadedTable; is_ours: boolean }> {
  const attempts = new Attempts(publisher, batch, table.metadata.location);
  const committedBy = ({ metadata }: LoadedTable): LogOffsets =>
    withOffsetsOfTopic({}, batch.topic, readOffsets(metadata, batch.topic));
  let current = table;
  for (let failures = 1; ; failures += 1) {
    try {
      return { table: await attempts.commit(current), is_ours: true };
    } catch (error) {
      await attempts.giveUpIfHopeless(error, failures);
      await publisher.clock.wait(backoffDelay_ms(failures, BACKOFF, { share: 0.5 }));
    }
    current = (await attempts.reload(table.identifier)) ?? current;
    if (attempts.isIn(current)) return { table: current, is_ours: true };
    if (!equalOffsets(committedBy(current), committedBy(table))) {
      await attempts.dropFiles();
      return { table: current, is_ours: false };
    }
  }
}

class Attempts {
  readonly #publisher: Publisher;
  readonly #batch: Batch;
  /** The table's folder. */
  readonly #folder: string;
  readonly #snapshot_ids = new Set<Long>();
  #is_uncertain = false;

  constructor(publisher: Publisher, batch: Batch, folder: string) {
    this.#publisher = publisher;
    this.#batch = batch;
    this.#folder = folder;
  }

  async commit(table: LoadedTable): Promise<LoadedTable> {
    const { stager, storage, catalog, commit_timeout_ms } = this.#publisher;
    const { topic, next, files } = this.#batch;
    const properties = { [LOG_OFFSETS_PROPERTY]: writeOffsets(table.metadata, topic, next) };
    const staged = await stager.stage(table, files, properties);
    this.#snapshot_ids.add(canonicalLong(staged.snapshot_id));
    try {
      const [committed] = await answerWithin(commit_timeout_ms, catalog.commit([staged.change]));
      if (committed === undefined) throw new TypeError("a commit of one change gives one table");
      return committed;
    } catch (error) {
      if (isKnownFailure(error)) await deleteIfPossible(storage, table.metadata.location, staged.written);
      else this.#is_uncertain = true;
      throw error;
    }
  }

  /** Null where the catalog does not answer; the next attempt finds out. */
  async reload(identifier: TableIdentifier): Promise<LoadedTable | null> {
    try {
      return await this.#publisher.catalog.loadTable(identifier);
    } catch (error) {
      if (!(error instanceof OperatingError) || !error.is_retryable) throw error;
      this.#publisher.report({
        level: "warning",
        code: error.code,
        message: `The catalog does not answer: ${error.message}`,
      });
      return null;
    }
  }

  isIn({ metadata }: LoadedTable): boolean {
    return metadata.snapshots.some((snapshot) => this.#snapshot_ids.has(canonicalLong(snapshot["snapshot-id"])));
  }

  async giveUpIfHopeless(error: unknown, failures: number): Promise<void> {
    const is_retryable = error instanceof OperatingError && error.is_retryable;
    const code = error instanceof OperatingError ? error.code : "COMMIT_FAILED";
    const message = `Commit ${failures} of at most ${MAX_COMMIT_ATTEMPTS} failed: ${messageOf(error)}`;
    this.#publisher.report({ level: code === "COMMIT_CONFLICT" ? "info" : "warning", code, message });
    if (is_retryable && failures < MAX_COMMIT_ATTEMPTS) return;
    await this.dropFiles();
    throw is_retryable ? stalled(failures, error) : error;
  }

  /** Deletes the batch's files unless an attempt may have published them; orphan removal deletes leftovers. */
  async dropFiles(): Promise<void> {
    if (this.#is_uncertain) return;
    const { storage } = this.#publisher;
    const files = this.#batch.files.map(({ file_path }) => file_path);
    await deleteIfPossible(storage, this.#folder, files);
  }
}

/**
 * Only a clear rejection is a known failure. After a lost answer or an unexpected error the commit may be published.
 */
function isKnownFailure(error: unknown): boolean {
  return error instanceof OperatingError && !(error instanceof UnknownOutcome);
}

/** Uses a real timer rather than the clock, because it bounds a call to an external service. */
async function answerWithin<T>(timeout_ms: number, answer: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const silence = wait(timeout_ms, undefined, { signal: timer.signal }).then(() => {
    throw new UnknownOutcome(`No answer to a commit within ${timeout_ms} ms`, undefined);
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    // The loser of the race may still reject, which must not count as unhandled.
    Promise.allSettled([answer, silence]);
    timer.abort();
  }
}

function stalled(failures: number, cause: unknown): OperatingError {
  return new OperatingError("COMMIT_STALLED", `${failures} commits in a row failed: ${messageOf(cause)}`, {
    next_step: "Check the disk and the catalog; the records wait in the log, and the next start goes on from there.",
    cause,
  });
}
