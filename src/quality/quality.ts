import { isoFromMicros, type Clock } from "../base/clock.ts";
import type { OpenLake } from "../lake/open.ts";
import { OperatingError } from "../base/errors.ts";
import { claimFolder, ownerOf } from "../lake/ownership.ts";
import { runChecks } from "./check.ts";
import { qualityPython } from "./install.ts";
import { planChecks, type Plan, type PlanOptions } from "./plan.ts";
import { qualityFolder, readResult, writeResult, type BatchResult, type QualityResult } from "./result.ts";
import { makeFolder } from "../base/folder.ts";

export interface QualityOptions extends Pick<PlanOptions, "layer" | "day" | "is_all"> {
  open: OpenLake;
  clock: Clock;
  say(text: string): void;
  /** Called with the numbers of checked and of all batches. */
  onProgress?: (done: number, total: number) => void;
}

export interface Checked {
  /** Batches that this run checked. */
  batches: { table: string; result: BatchResult }[];
  unchanged: number;
  /** The latest results of all tables. */
  result: QualityResult;
}

/**
 * Validates the lake with its suites: every day that changed since its last successful check, or the given day.
 * Read-only, so it may run beside the writer. Throws CHECK_RUNNING and errors of planning, installing and checking.
 */
export async function checkQuality(options: QualityOptions): Promise<Checked> {
  const { open, clock } = options;
  const folder = qualityFolder(open.lake);
  makeFolder(folder);
  const claim = claimFolder(folder, "quality");
  if (claim === null) throw checkRunning(ownerOf(folder));
  try {
    const last = readResult(open.lake);
    const plan = await planChecks({ ...options, pipeline: open.lake.pipeline, last });
    const batches = plan.batches.length === 0 ? [] : await checkBatches(options, plan);
    const result = merged(last, batches, presence(plan, options), isoFromMicros(clock.now_us()));
    writeResult(open.lake, result);
    return { batches, unchanged: plan.unchanged.length, result };
  } finally {
    claim.release();
  }
}

async function checkBatches(options: QualityOptions, plan: Plan): Promise<Checked["batches"]> {
  const python = await qualityPython(options);
  let done = 0;
  const onChecked = () => options.onProgress?.((done += 1), plan.batches.length);
  return runChecks({ open: options.open, plan, python, clock: options.clock, onChecked });
}

/** Only a plan for all days lists the existing days. */
function presence(
  { batches, unchanged }: Plan,
  { day: asked }: QualityOptions,
): (table: string, part: string) => boolean {
  const planned = [...batches, ...unchanged];
  return (table, part) =>
    asked !== null ||
    !planned.some((batch) => batch.table === table) ||
    planned.some((batch) => batch.table === table && batch.part === part);
}

/** Merges this run's results with earlier ones of days that still exist. */
function merged(
  last: QualityResult | null,
  batches: Checked["batches"],
  isThere: (table: string, part: string) => boolean,
  checked_at: string,
): QualityResult {
  const isNew = (table: string, part: string) =>
    batches.some((checked) => checked.table === table && checked.result.part === part);
  const kept = (last?.tables ?? []).flatMap(({ table, batches: known }) => known.map((result) => ({ table, result })));
  const all = [
    ...kept.filter(({ table, result: { part } }) => !isNew(table, part) && isThere(table, part)),
    ...batches,
  ];
  const by_table = Map.groupBy(all, ({ table }) => table);
  const newestFirst = (a: BatchResult, b: BatchResult) => b.part.localeCompare(a.part);
  return {
    format: 1,
    checked_at,
    tables: [...by_table].map(([table, of_table]) => ({
      table,
      batches: of_table.map(({ result }) => result).sort(newestFirst),
    })),
  };
}

function checkRunning(owner: string): OperatingError {
  return new OperatingError("CHECK_RUNNING", `Another process is checking the lake: ${owner}`, {
    next_step: "Wait for that process, then run the command again.",
  });
}
