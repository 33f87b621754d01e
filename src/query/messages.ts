import type { Log, LogRecord, PartitionBounds } from "../log/log.ts";

export interface MessageRequest {
  topic: string;
  /** Null for all partitions, merged by time of ingestion. */
  partition: number | null;
  limit: number;
  /** Only messages whose payload, key or source contains this text, ignoring case; null for all. */
  search: string | null;
  /** Cursor: per partition, the next offset (forward) or one past it (backward). */
  from: MessagePlace | null;
}

export interface MessagePlace {
  direction: "newer" | "older";
  offsets: Readonly<Record<string, number>>;
}

export interface MessagePage {
  records: LogRecord[];
  next: MessagePlace | null;
  scanned: number;
}

const CHUNK_RECORDS = 500;
const CHUNK_BYTES = 4 * 1024 * 1024;
/** A search stops after this number of messages and reports it; the next page continues. */
const MAX_SCANNED = 20_000;

/**
 * Messages of a topic in log order, newest first by default. Throws TOPIC_NOT_FOUND, PARTITION_NOT_FOUND.
 */
export async function readMessages(log: Log, request: MessageRequest): Promise<MessagePage> {
  const all = await log.bounds(request.topic);
  const bounds = request.partition === null ? all : all.filter(({ partition }) => partition === request.partition);
  const direction = request.from?.direction ?? "older";
  const readers = bounds.map((bound) => new PartitionReader(log, request, bound, direction));
  const records: LogRecord[] = [];
  let scanned = 0;
  while (records.length < request.limit && scanned < MAX_SCANNED) {
    const heads = await Promise.all(readers.map(async (reader) => ({ reader, record: await reader.peek() })));
    const next = heads.reduce<{ reader: PartitionReader; record: LogRecord } | null>((best, { reader, record }) => {
      if (record === null) return best;
      const is_before =
        best === null ||
        (direction === "older"
          ? record.ingested_at_us > best.record.ingested_at_us
          : record.ingested_at_us < best.record.ingested_at_us);
      return is_before ? { reader, record } : best;
    }, null);
    if (next === null) break;
    next.reader.take();
    scanned += 1;
    if (request.search === null || holds(next.record, request.search)) records.push(next.record);
  }
  const has_more = (await Promise.all(readers.map((reader) => reader.peek()))).some((record) => record !== null);
  const offsets = Object.fromEntries(readers.map((reader) => [String(reader.partition), reader.place]));
  return { records, next: has_more ? { direction, offsets } : null, scanned };
}

function holds({ payload, key, source }: LogRecord, text: string): boolean {
  const wanted = text.toLowerCase();
  return [Buffer.from(payload).toString("utf8"), key, source].some((value) => value.toLowerCase().includes(wanted));
}

/** One partition's records in either direction, read a chunk at a time. */
class PartitionReader {
  readonly partition: number;
  /** Forward: the next offset to return. Backward: one past it. */
  place: number;
  readonly #log: Log;
  readonly #topic: string;
  readonly #direction: MessagePlace["direction"];
  readonly #begin: number;
  readonly #end: number;
  #chunk: LogRecord[] = [];

  constructor(
    log: Log,
    { topic, from }: MessageRequest,
    { partition, begin, end }: PartitionBounds,
    direction: MessagePlace["direction"],
  ) {
    this.partition = partition;
    this.#log = log;
    this.#topic = topic;
    this.#direction = direction;
    this.#begin = begin;
    this.#end = end;
    const given = from?.offsets[String(partition)] ?? (direction === "older" ? end : begin);
    // Records of the previous page may have been pruned meanwhile.
    this.place = Math.min(Math.max(given, begin), end);
  }

  async peek(): Promise<LogRecord | null> {
    if (this.#chunk.length === 0) await this.#fill();
    return (this.#direction === "older" ? this.#chunk.at(-1) : this.#chunk[0]) ?? null;
  }

  take(): void {
    const taken = this.#direction === "older" ? this.#chunk.pop() : this.#chunk.shift();
    if (taken !== undefined) this.place = this.#direction === "older" ? taken.offset : taken.offset + 1;
  }

  async #fill(): Promise<void> {
    if (this.#direction === "older") this.#chunk = await this.#before(this.place);
    else if (this.place < this.#end) this.#chunk = await this.#read(this.place, CHUNK_RECORDS);
  }

  /** The records that end at `end`. The log is read forwards, so a span whose bytes fit must be guessed. */
  async #before(end: number): Promise<LogRecord[]> {
    for (let span = CHUNK_RECORDS; end > this.#begin; span = Math.ceil(span / 4)) {
      const from = Math.max(this.#begin, end - span);
      const records = await this.#read(from, end - from);
      if (records.length === end - from || span === 1) return records;
    }
    return [];
  }

  #read(offset: number, max_records: number): Promise<LogRecord[]> {
    return this.#log.read(this.#topic, this.partition, offset, { max_records, max_bytes: CHUNK_BYTES });
  }
}
