import { existsSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openFiles, type FilesOptions } from "../../../producers/files.ts";
import type { Log } from "../../../src/log/log.ts";
import { runProducer } from "../../../src/log/run-producer.ts";
import { openSqliteLog } from "../../../src/log/sqlite/log.ts";
import { producerFolder } from "../../../src/producer/folder.ts";
import type { Producer, SourceReport } from "../../../src/producer/producer.ts";
import { FakeClock } from "../../producer/fake-clock.ts";

export const TOPIC = "orders.raw";

/** The payload of a record of a source of files. */
export interface Payload {
  file: string;
  first_element: number;
  elements?: unknown[];
  malformed?: string;
  reason?: string;
  size_bytes?: number;
  is_utf8?: boolean;
}

/** A clock whose waits take no time, and which acts at given times since its start. */
export class ScriptedClock extends FakeClock {
  readonly #start_us = this.now_us();
  readonly #script: { at_ms: number; act(): void | Promise<void> }[] = [];

  at(at_s: number, act: () => void | Promise<void>): this {
    this.#script.push({ at_ms: at_s * 1000, act });
    this.#script.sort((a, b) => a.at_ms - b.at_ms);
    return this;
  }

  override async wait(delay_ms: number, signal?: AbortSignal): Promise<void> {
    await super.wait(delay_ms, signal);
    while ((this.#script[0]?.at_ms ?? Infinity) <= (this.now_us() - this.#start_us) / 1000)
      await this.#script.shift()?.act();
  }
}

/** A folder of files, and the lake's log that they are read into. */
export class Reading {
  readonly inbox: string;
  readonly lake_folder: string;
  readonly reports: SourceReport[] = [];
  producer: Producer | null = null;

  constructor(folder: string, inbox = join(folder, "inbox")) {
    this.lake_folder = join(folder, "lake");
    this.inbox = inbox;
  }

  async put(name: string, content: string | Uint8Array): Promise<void> {
    await mkdir(dirname(join(this.inbox, name)), { recursive: true });
    await writeFile(join(this.inbox, name), content);
  }

  /** Reads until the folder is drained, or for a time of the scripted clock. */
  async run(options: Partial<FilesOptions> & { clock?: ScriptedClock; for_s?: number; producer?: Producer } = {}) {
    const { clock = new ScriptedClock(), for_s, producer: given, ...files } = options;
    const stop = new AbortController();
    if (for_s !== undefined) clock.at(for_s, () => stop.abort());
    if (!this.inbox.startsWith("s3:")) await mkdir(this.inbox, { recursive: true });
    const location = this.inbox;
    const is_until_drained = for_s === undefined;
    const producer = given ?? (await openFiles({ location, source: "orders", is_until_drained, ...files }));
    this.producer = producer;
    await this.withLog((log) =>
      runProducer({
        producer,
        log,
        topic: TOPIC,
        lake_folder: this.lake_folder,
        clock,
        signal: stop.signal,
        report: (said) => void this.reports.push(said),
      }),
    );
  }

  async withLog<T>(work: (log: Log) => Promise<T>): Promise<T> {
    await mkdir(this.lake_folder, { recursive: true });
    const log = openSqliteLog({ file: join(this.lake_folder, "log.db") });
    try {
      await log.createTopic(TOPIC, 1);
      return await work(log);
    } finally {
      await log.close();
    }
  }

  /** The payloads in the log, in order. */
  payloads(): Promise<Payload[]> {
    return this.withLog(async (log) => {
      const [{ end } = { end: 0 }] = await log.bounds(TOPIC);
      const payloads: Payload[] = [];
      while (payloads.length < end) {
        const records = await log.read(TOPIC, 0, payloads.length, { max_records: 1_000, max_bytes: 1e8 });
        payloads.push(...records.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()) as Payload));
      }
      return payloads;
    });
  }

  /** Each element in the log as `file:index`, with the elements of malformed pieces marked. */
  async elements(): Promise<string[]> {
    return (await this.payloads()).flatMap(({ file, first_element, elements }) =>
      elements === undefined
        ? [`${file}:${first_element}!`]
        : elements.map((_, index) => `${file}:${first_element + index}`),
    );
  }

  codes(): string[] {
    return this.reports.map(({ code }) => code);
  }

  get ledger(): string {
    return join(producerFolder(this.lake_folder, this.producer?.id ?? ""), "ledger.db");
  }

  /** Names in the inbox, which no source may change. */
  async names(): Promise<string[]> {
    return existsSync(this.inbox) ? (await readdir(this.inbox, { recursive: true })).sort() : [];
  }
}

/** `count` orders of a file, whose ids begin with the letter. */
export function orders(letter: string, count: number): { id: string }[] {
  return Array.from({ length: count }, (_, index) => ({ id: `${letter}${index}` }));
}

export function lines(values: readonly unknown[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join("");
}
