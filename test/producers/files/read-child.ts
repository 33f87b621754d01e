import { setImmediate } from "node:timers/promises";
import { openFiles } from "../../../producers/files.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { runProducer } from "../../../src/log/run-producer.ts";
import { Reading, TOPIC } from "./reading.ts";

/**
 * Reads a folder until it is drained, as a process that the test kills or measures:
 *   read-child.ts FOLDER log N     into the log; kills itself after the N-th append, before the ledger has it
 *   read-child.ts FOLDER memory    without a log; prints the peak of its resident memory above its start, in MB
 */
const [folder = "", mode, kill_after = "0"] = process.argv.slice(2);
const reading = new Reading(folder);
const producer = await openFiles({
  location: reading.inbox,
  source: "orders",
  is_until_drained: true,
  settle_ms: 20,
  interval_ms: 10,
  incomplete_after_ms: 100,
});
const signal = new AbortController().signal;
let appends = 0;

if (mode === "memory") {
  const before = process.memoryUsage.rss();
  let peak = before;
  const context = { position: null, clock: systemClock, signal, folder: reading.lake_folder, report() {} };
  for await (const _ of producer.batches(context)) {
    peak = Math.max(peak, process.memoryUsage.rss());
    await setImmediate();
  }
  process.stdout.write(JSON.stringify({ grown_mb: (peak - before) / 1e6, records: producer.progress?.().done }));
} else {
  await reading.withLog((log) =>
    runProducer({
      producer,
      log,
      topic: TOPIC,
      lake_folder: reading.lake_folder,
      clock: systemClock,
      signal,
      report: ({ message }) => void process.stderr.write(`${message}\n`),
      appended() {
        appends += 1;
        if (appends === Number(kill_after)) process.kill(process.pid, "SIGKILL");
      },
    }),
  );
}
