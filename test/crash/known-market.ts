import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { simulated } from "../../producers/simulated.ts";
import { expected, stepsBetween } from "../../producers/simulated/truth.ts";
import { systemClock } from "../../src/base/clock.ts";
import { crypto } from "../../pipelines/crypto.ts";
import { NO_FOLDER } from "../producer/collect.ts";
import { recordLine } from "../producer/record-line.ts";
import type { KnownStream, StreamOptions } from "./known-stream.ts";

export interface KnownMarket {
  /** Path of JSON lines of raw records, for `--source replay:FILE`: the record in line n gets offset n in the log. */
  recording: string;
  /** Path of JSON lines, one per element: its position, expected outcome and values. */
  truth: string;
  records: number;
  accepted: number;
  duplicates: number;
  rejected: number;
}

/**
 * Five coins every five seconds, 5 % dirty. The market begins before midnight, so that a day, its hours and its minutes
 * change during the kills.
 */
const MARKET = {
  coins: 5,
  interval_ms: 5000,
  dirt_rate: 0.05,
  start_us: Date.parse("2025-10-10T22:40:00Z") * 1000,
} as const;

export function recordingOf(folder: string, seed: number): string {
  return join(folder, `market-${seed}.jsonl`);
}

/** Writes a recording of the simulated market and the expected content of the lake. */
export async function writeKnownMarket(
  folder: string,
  options: { seed: number; records: number },
): Promise<KnownMarket> {
  const { seed, records } = options;
  const recording = recordingOf(folder, seed);
  await writeLines(recording, recordLines(seed, records));
  const counts = { accepted: 0, duplicate: 0, rejected: 0 };
  function* truthLines(): Generator<string> {
    for (const { step, element, verdict, reason, quote } of expected({ seed, ...MARKET }, stepsBetween(0, records))) {
      counts[verdict] += 1;
      yield JSON.stringify({ offset: step, element, verdict, reason, quote });
    }
  }
  const truth = join(folder, `truth-${seed}.jsonl`);
  await writeLines(truth, truthLines());
  return {
    recording,
    truth,
    records,
    accepted: counts.accepted,
    duplicates: counts.duplicate,
    rejected: counts.rejected,
  };
}

/** The market as a recording, which `start` replays. */
export async function replayedMarket({ folder, seed, records }: StreamOptions): Promise<KnownStream> {
  const { recording, truth, ...counts } = await writeKnownMarket(folder, { seed, records });
  return {
    options: ["--source", `replay:${recording}`],
    has_speed: true,
    topic: crypto.topic.name,
    complete: async () => ({ ...counts, comparison: ["compare.py", recording, truth] }),
  };
}

async function* recordLines(seed: number, records: number): AsyncGenerator<string> {
  const producer = simulated({ seed, ...MARKET, speed: "max", until_step: records });
  const signal = new AbortController().signal;
  for await (const batch of producer.batches({
    position: null,
    clock: systemClock,
    signal,
    folder: NO_FOLDER,
    report: () => {},
  })) {
    for (const record of batch.records) yield recordLine(record);
  }
}

async function writeLines(file: string, lines: Iterable<string> | AsyncIterable<string>): Promise<void> {
  const stream = createWriteStream(file);
  for await (const line of lines) stream.write(`${line}\n`);
  stream.end();
  await finished(stream);
}
