import { basename } from "node:path";
import { OperatingError } from "../src/base/errors.ts";
import { checkSpeed, Pace, type Speed } from "../src/producer/pace.ts";
import type { Batch, Producer, ProducerContext, SourceRecord } from "../src/producer/producer.ts";
import { waitUntil } from "../src/producer/wait.ts";
import { inspect, openFile, type OpenedFile } from "./replay/file.ts";

export interface ReplayOptions {
  /**
   * Path of a candle file, JSON lines of raw records or a recorded WebSocket session, optionally gzipped; the content
   * determines the format.
   */
  file: string;
  /** 1 replays in real time, N replays N times faster, "max" as fast as the log accepts records. */
  speed: Speed;
}

/**
 * Opens a recorded file as a producer. Reads it once to find its format, length and hash.
 * Throws FILE_NOT_FOUND, FILE_IS_FOLDER, FILE_NOT_READABLE, FILE_EMPTY, FILE_TOO_LARGE, FILE_FORMAT_UNKNOWN,
 * TIME_UNITS_MIXED or TIME_OUT_OF_RANGE.
 */
export async function openReplay(options: ReplayOptions): Promise<Producer> {
  checkSpeed(options.speed);
  return new Replay(options, await openFile(options.file));
}

class Replay implements Producer {
  readonly id: string;
  readonly kind = "replay";
  readonly #options: ReplayOptions;
  readonly #opened: OpenedFile;
  #done = 0;

  constructor(options: ReplayOptions, opened: OpenedFile) {
    this.#options = options;
    this.#opened = opened;
    this.id = `replay:${basename(options.file)}:${opened.sha256.slice(0, 16)}`;
  }

  /** Throws FILE_CHANGED in addition to the errors of opening: a position is invalid for changed content. */
  async probe(): Promise<void> {
    const { file } = this.#options;
    const { size_bytes, modified_ms } = await inspect(file);
    if (size_bytes !== this.#opened.size_bytes || modified_ms !== this.#opened.modified_ms) {
      throw new OperatingError("FILE_CHANGED", `${file} was changed after it was opened`, {
        next_step: "Start again when no process writes to it; changed content is replayed from its beginning.",
      });
    }
  }

  async *batches({ position, clock, signal, report }: ProducerContext): AsyncGenerator<Batch> {
    await this.probe();
    const { recording, damage } = this.#opened;
    if (damage.message !== null) {
      const message = `${this.#options.file} is damaged (${damage.message}); replaying the readable part.`;
      report({ level: "warning", code: "FILE_DAMAGED", message });
    }
    const { speed } = this.#options;
    const pace = speed === "max" ? null : new Pace(clock, speed);
    this.#done = recordsBehind(position, recording.total);
    for await (const chunk of recording.records(this.#done)) {
      for (let from = 0; from < chunk.length;) {
        if (pace !== null && !(await waitUntil(clock, pace.due_us(timeOf(chunk, from)), signal))) return;
        if (signal.aborted) return;
        const until = pace === null ? chunk.length : dueUntil(chunk, from, pace, clock.now_us());
        const done = this.#done + until - from;
        yield { records: chunk.slice(from, until), position: JSON.stringify({ records: done }) };
        this.#done = done;
        from = until;
      }
    }
  }

  progress(): { done: number; total: number } {
    return { done: this.#done, total: this.#opened.recording.total };
  }
}

function timeOf(chunk: readonly SourceRecord[], index: number): number {
  return chunk[index]?.ingested_at_us ?? 0;
}

/** The end of the run of records that are due by `now_us`. The record at `from` must be due. */
function dueUntil(chunk: readonly SourceRecord[], from: number, pace: Pace, now_us: number): number {
  let until = from + 1;
  while (until < chunk.length && pace.due_us(timeOf(chunk, until)) <= now_us) until += 1;
  return until;
}

function recordsBehind(position: string | null, total: number): number {
  if (position === null) return 0;
  try {
    const { records } = JSON.parse(position) as { records?: unknown };
    if (typeof records === "number" && Number.isInteger(records) && records >= 0 && records <= total) return records;
  } catch (error) {
    throw unreadablePosition(position, error);
  }
  throw unreadablePosition(position, undefined);
}

function unreadablePosition(position: string, cause: unknown): OperatingError {
  return new OperatingError("INVALID_POSITION", `Invalid stored position of the replay: ${position.slice(0, 100)}`, {
    next_step: "Replay into a new lake (another --data folder), or restore the log from a backup.",
    cause,
  });
}
