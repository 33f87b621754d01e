import { isDiskFull } from "../../src/base/disk-full.ts";
import { explain } from "../../src/base/explain.ts";
import { OperatingError } from "../../src/base/errors.ts";
import { MAX_CONSECUTIVE_FAILURES, pause, retryDelay_ms, withRetry } from "../../src/base/retry.ts";
import type { Batch, LakeKind, Producer, ProducerContext, SourceStatus } from "../../src/producer/producer.ts";
import { Arrivals, isInput, type ArrivalLimits } from "./arrivals.ts";
import type { Folder, Listed } from "./folder.ts";
import { openLedger, type Ledger } from "./ledger.ts";
import { parsePosition } from "./position.ts";
import { batchesOf, inspectFile, type FileContent, type Progress } from "./read-file.ts";

/** Where the files come from. */
export interface Inbox {
  folder: Folder;
  /** Called before each listing. Resolves to false once no further file will come. */
  refresh?(now_us: number, signal: AbortSignal): Promise<boolean>;
  /** Called after each listing with the listed files that were read. */
  tidy?(read: readonly Listed[], now_us: number): Promise<void>;
}

export interface SourceOptions extends ArrivalLimits {
  id: string;
  kind: LakeKind;
  /** The `source` column of bronze. */
  source: string;
  /** Opens the inbox; `folder` is the producer's own folder. */
  openInbox(folder: string, context: Pick<ProducerContext, "clock" | "position">): Promise<Inbox>;
  /** Throws an OperatingError if the folder cannot be listed now. */
  probe?(): Promise<void>;
  /** The pause between two listings. */
  interval_ms: number;
  /** End once every listed file is read and no further one will come; otherwise poll without end. */
  is_until_drained: boolean;
}

/** What one call of `batches` works with. */
interface Session {
  inbox: Inbox;
  ledger: Ledger;
  context: ProducerContext;
}

/** At most this share of the time is spent listing: a folder with many files is listed less often. */
const MAX_LISTING_SHARE = 0.05;
const SWEEP_INTERVAL_US = 3_600_000_000;
const SILENT_AFTER_MS = 120_000;
/** While draining, the source ends with the error after this many failures in a row. */
const MAX_FAILURES_WHILE_DRAINING = 3;

/**
 * Reads each file of a folder once. The identity of a file is its content, so that a file that was renamed, touched or
 * uploaded twice is skipped, and one with new content is read again. Takes the files in the order of modification time,
 * then name; a file is listed twice with the same size and time, and complete, before it is read.
 */
export class FilesSource implements Producer {
  readonly id: string;
  readonly kind: LakeKind;
  readonly #options: SourceOptions;
  readonly #arrivals: Arrivals;
  #state: SourceStatus["state"] = "connecting";
  #failure: OperatingError | null = null;
  #failures = 0;
  #listed_at_us: number | null = null;
  #swept_at_us = -Infinity;
  #files = { read: 0, repeated: 0, last: null as string | null };
  #records = 0;

  constructor(options: SourceOptions) {
    this.id = options.id;
    this.kind = options.kind;
    this.#options = options;
    this.#arrivals = new Arrivals(options);
  }

  async probe(): Promise<void> {
    await this.#options.probe?.();
  }

  status(): SourceStatus {
    return {
      source: this.#options.source,
      state: this.#state,
      message: this.#failure === null ? this.#summary() : explain(this.#failure),
      heard_at_us: this.#listed_at_us,
      silent_after_ms: Math.max(SILENT_AFTER_MS, 3 * this.#options.interval_ms),
      reconnects: 0,
      missed: { open: 0, filled: 0, lost: 0 },
      gaps: [],
    };
  }

  #summary(): string {
    const { read, repeated, last } = this.#files;
    const newest = last === null ? "" : `; the last is ${last}`;
    return `${read} files read, ${repeated} repeated, ${this.#arrivals.size} waiting${newest}`;
  }

  /** In records; the number of files to come is unknown. */
  progress(): { done: number; total: null } {
    return { done: this.#records, total: null };
  }

  async *batches(context: ProducerContext): AsyncGenerator<Batch> {
    const { clock, signal } = context;
    const session = await this.#retried(context, () => this.#open(context));
    if (session === null) return;
    try {
      while (!signal.aborted) {
        const listing = await this.#list(session);
        if (listing?.is_last === true && this.#arrivals.size === 0) {
          this.#state = "ended";
          return;
        }
        if (listing !== null) yield* this.#readReady(session);
        const longest_ms = listing === null ? retryDelay_ms(this.#failures) : listing.listing_ms / MAX_LISTING_SHARE;
        if (!(await pause(clock, Math.ceil(Math.max(this.#options.interval_ms, longest_ms)), signal))) return;
      }
    } finally {
      session.ledger.close();
    }
  }

  async #open(context: ProducerContext): Promise<Session> {
    const { clock, folder, position } = context;
    const ledger = openLedger(folder, (aside) => this.#reportDamagedLedger(context, aside));
    try {
      resumeAt(ledger, position, clock.now_us());
      return { inbox: await this.#options.openInbox(folder, context), ledger, context };
    } catch (error) {
      ledger.close();
      throw error;
    }
  }

  /** Null if the folder cannot be listed now. */
  async #list(session: Session): Promise<{ is_last: boolean; listing_ms: number } | null> {
    const { inbox, ledger, context } = session;
    const { clock, signal, report } = context;
    try {
      const has_more = (await inbox.refresh?.(clock.now_us(), signal)) ?? false;
      // Without the refresh: a longer pause would give a simulation more to write, and so on.
      const started_ms = performance.now();
      const [waiting, read]: [Listed[], Listed[]] = [[], []];
      for await (const file of inbox.folder.list()) {
        if (isInput(file.name)) (ledger.isKnown(file) ? read : waiting).push(file);
      }
      const listing_ms = performance.now() - started_ms;
      const now_us = clock.now_us();
      this.#arrivals.update(waiting, now_us);
      await inbox.tidy?.(read, now_us);
      this.#sweep(ledger, [...waiting, ...read], now_us);
      if (this.#failure !== null)
        report({ level: "info", code: "FILES_LISTED", message: `${this.id} is listed again` });
      this.#listed_at_us = now_us;
      this.#state = "live";
      [this.#failure, this.#failures] = [null, 0];
      return { is_last: this.#options.is_until_drained && !has_more, listing_ms };
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      if (signal.aborted) return null;
      this.#failures += 1;
      if (this.#isFinal(error, this.#failures)) throw error;
      if (this.#failure?.code !== error.code) report({ level: "warning", code: error.code, message: explain(error) });
      this.#failure = error;
      this.#state = "failed";
      return null;
    }
  }

  /** While draining, a person waits. A full disk is waited for in any case: only a person can free space. */
  #isFinal(error: OperatingError, failures: number): boolean {
    return this.#options.is_until_drained && failures >= MAX_FAILURES_WHILE_DRAINING && !isDiskFull(error);
  }

  #sweep(ledger: Ledger, listed: readonly Listed[], now_us: number): void {
    if (Math.abs(now_us - this.#swept_at_us) < SWEEP_INTERVAL_US) return;
    ledger.sweep(
      listed.map(({ name }) => name),
      now_us,
    );
    this.#swept_at_us = now_us;
  }

  async *#readReady(session: Session): AsyncGenerator<Batch> {
    const { inbox, context } = session;
    for (const file of this.#arrivals.ready(context.clock.now_us())) {
      if (context.signal.aborted) return;
      const progress: Progress = { digest: null, next_element: 0, is_started: false };
      try {
        const content = await inspectFile(inbox.folder, file.name);
        if (this.#mayRead(file, content, context)) yield* this.#read(file, content, progress, session);
      } catch (error) {
        if (!(error instanceof OperatingError)) throw error;
        await this.#noteFailure(file, error, progress, session);
      }
    }
  }

  /** Whether the content is complete, or has not changed for long. */
  #mayRead({ name }: Listed, { is_incomplete }: FileContent, { clock, report }: ProducerContext): boolean {
    if (!is_incomplete) return true;
    if (!this.#arrivals.isOverdue(name, clock.now_us())) {
      this.#arrivals.noteIncomplete(name);
      return false;
    }
    const waited_s = this.#options.incomplete_after_ms / 1000;
    const message = `${name} is incomplete and has not changed for ${waited_s} s; it is read as far as it goes`;
    report({ level: "warning", code: "FILE_INCOMPLETE", message });
    return true;
  }

  async *#read(file: Listed, content: FileContent, progress: Progress, session: Session): AsyncGenerator<Batch> {
    const { inbox, ledger, context } = session;
    const { clock } = context;
    const { digest } = content;
    const next_element = ledger.nextElement(digest);
    if (next_element === null) this.#files.repeated += 1;
    else {
      Object.assign(progress, { digest, next_element });
      const from = { source: this.#options.source, file: file.name };
      for await (const batch of batchesOf(inbox.folder, content, from, progress, () => clock.now_us())) {
        yield batch;
        this.#records += batch.records.length;
      }
      this.#files.read += 1;
      this.#files.last = file.name;
    }
    await this.#retried(context, async () => ledger.finish(file, digest, progress.next_element, clock.now_us()));
    this.#arrivals.remove(file.name);
  }

  /** A file that vanished is skipped; another failure is tried again once the file has settled. */
  async #noteFailure(
    { name }: Listed,
    error: OperatingError,
    { digest, next_element, is_started }: Progress,
    { ledger, context }: Session,
  ): Promise<void> {
    const { clock, report } = context;
    if (error.code.startsWith("LEDGER_")) throw error;
    if (digest !== null && is_started) {
      await this.#retried(context, async () =>
        error.code === "FILE_CHANGED"
          ? ledger.noteVoid(digest, clock.now_us())
          : ledger.notePartial(digest, next_element, clock.now_us()),
      );
    }
    if (error.code === "FILE_NOT_FOUND") {
      this.#arrivals.remove(name);
      report({
        level: "warning",
        code: "FILE_VANISHED",
        message: `${name} vanished before it was read; it is skipped`,
      });
      return;
    }
    const failures = this.#arrivals.noteFailure(name, clock.now_us());
    if (failures === 1) report({ level: "warning", code: error.code, message: explain(error) });
    if (this.#isFinal(error, failures)) throw error;
  }

  /** Waits while a disk is full or another program holds the ledger; null once the signal aborts. */
  async #retried<T>({ clock, signal, report }: ProducerContext, work: () => Promise<T>): Promise<T | null> {
    const failed = (error: OperatingError): void =>
      report({ level: "warning", code: error.code, message: explain(error) });
    return await withRetry({ clock, signal, max_attempts: MAX_CONSECUTIVE_FAILURES, failed }, work);
  }

  #reportDamagedLedger({ report }: ProducerContext, aside: string): void {
    report({
      level: "warning",
      code: "LEDGER_CORRUPT",
      message: `The ledger of ${this.id} was damaged and is now ${aside}; all files are read again`,
    });
  }
}

/** The position is stored with the records, before the ledger: a kill may have come between the two. */
function resumeAt(ledger: Ledger, position: string | null, now_us: number): void {
  if (position === null) return;
  const { digest, next_element, is_done } = parsePosition(position);
  if (is_done) ledger.noteDone(digest, next_element, now_us);
  else ledger.notePartial(digest, next_element, now_us);
}
