import { join } from "node:path";
import { isoFromMicros, type Clock } from "../base/clock.ts";
import { OperatingError } from "../base/errors.ts";
import type { Log } from "../log/log.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { StoredBook } from "./book.ts";
import type { LogOffsets } from "../log/offsets.ts";
import { parseRule } from "./rule.ts";
import { AlertStore } from "./sqlite/store.ts";

export function alertsFile(folder: string): string {
  return join(folder, "alerts.db");
}

/** The part of a pipeline's definition that the alert store needs. */
interface AlertDefaults {
  alerts: Pick<Pipeline["alerts"], "default_rules">;
}

/** Opens the store of a lake's alerts. The first opening writes the pipeline's default rules. */
export async function openAlertStore(folder: string, { alerts }: AlertDefaults, clock: Clock): Promise<AlertStore> {
  const store = new AlertStore(alertsFile(folder));
  await store.writeDefaults(alerts.default_rules.map(parseRule), isoFromMicros(clock.now_us()));
  return store;
}

/** Opens the rules, sinks and alerts of a lake without an engine. */
export async function openAlertBook(folder: string, pipeline: AlertDefaults, clock: Clock): Promise<StoredBook> {
  return new StoredBook(await openAlertStore(folder, pipeline, clock), clock);
}

/**
 * Records, once in the life of a lake, the offsets at which evaluation starts: those that its tables have consumed. The
 * caller does this before it starts a producer: the engine is ready only seconds later, and must evaluate the records
 * that arrive meanwhile. Throws ALERTS_AHEAD_OF_LOG, which only this moment can detect: afterwards the log assigns the
 * same offsets again.
 */
export async function beginAlerts(
  folder: string,
  pipeline: Pick<Pipeline, "alerts" | "topic">,
  clock: Clock,
  log: Pick<Log, "bounds">,
  consumed: LogOffsets,
): Promise<void> {
  const store = await openAlertStore(folder, pipeline, clock);
  try {
    const evaluated = store.progress();
    for (const { partition, end } of await log.bounds(pipeline.topic.name)) {
      const name = `${pipeline.topic.name}/${partition}`;
      if ((evaluated[name] ?? 0) > end)
        throw aheadOfLog(alertsFile(folder), `${name} ends at offset ${end}, but is judged up to ${evaluated[name]}`);
    }
    await store.begin(consumed, isoFromMicros(clock.now_us()));
  } finally {
    store.close();
  }
}

function aheadOfLog(file: string, message: string): OperatingError {
  return new OperatingError(
    "ALERTS_AHEAD_OF_LOG",
    `The alerts in ${file} are newer than the log: ${message}. What comes under those offsets would not be judged`,
    {
      next_step:
        "Bring back the copy of that file that belongs to the log; or move it away with its -wal and -shm: " +
        "rules, sinks and the list of alerts then start empty.",
    },
  );
}
