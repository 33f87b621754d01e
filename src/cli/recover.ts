import { dirname } from "node:path";
import { systemClock } from "../base/clock.ts";
import { OperatingError } from "../base/errors.ts";
import type { Lake } from "../lake/lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { repair } from "../repair/repair.ts";
import type { Output } from "./output.ts";
import { tableStorage } from "./backup-place.ts";

/**
 * Repairs the damage of a power cut before the lake is opened: empty, truncated or missing files whose rows bronze or
 * the log still has. Reports, and leaves alone, damage that needs a decision. The caller owns the lake.
 */
export async function recoverLake(lake: Lake, pipeline: Pipeline, output: Output): Promise<void> {
  if (lake.profile === "cluster") return;
  try {
    const items = await repair({
      lake,
      pipeline,
      ...tableStorage(lake.warehouse, dirname(lake.folder)),
      clock: systemClock,
      table: null,
      backup: null,
      is_loss_accepted: false,
      is_automatic: true,
      is_applied: true,
      say: () => {},
      modelsFrom: async () => [],
      // The increments of this run rebuild the tables.
      rebuild: null,
    });
    const repaired = items.filter(({ outcome }) => outcome === "repaired");
    if (repaired.length > 0)
      output.say(
        `Recovered damaged files: ${repaired.map(({ problem, action }) => `${problem}: ${action}`).join("; ")}`,
      );
    for (const { problem } of items.filter(({ outcome }) => outcome === "impossible")) {
      output.warn(`${problem}. Run \`npm run -s coinlake -- repair\` to see the options.`);
    }
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    // The lake is opened regardless: the first reader of a damaged file reports it.
    output.warn(`the check for damaged files failed: ${error.message}. ${error.next_step}`);
  }
}
