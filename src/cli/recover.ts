import { dirname } from "node:path";
import { explain } from "../base/explain.ts";
import { systemClock } from "../base/clock.ts";
import { OperatingError } from "../base/errors.ts";
import type { Lake } from "../lake/lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { repair } from "../repair/repair.ts";
import type { Output } from "./output.ts";
import { tableStorage } from "./backup-place.ts";

/**
 * What a power cut leaves behind, mended before the lake is opened: files that are empty, cut off or missing, wherever bronze or the log has
 * their rows. What needs a decision is left as it is, and named. The caller owns the lake.
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
      // The increments of this run do.
      rebuild: null,
    });
    const repaired = items.filter(({ outcome }) => outcome === "repaired");
    if (repaired.length > 0)
      output.say(
        `Recovered damaged files: ${repaired.map(({ problem, action }) => `${problem}: ${action}`).join("; ")}`,
      );
    for (const { problem } of items.filter(({ outcome }) => outcome === "impossible")) {
      output.warn(`${problem}. Run \`npm run -s coinlake -- repair\` to see what can be done.`);
    }
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    // The lake is opened all the same: whoever needs the file says what is wrong with it.
    output.warn(`damaged files could not be looked for: ${explain(error)}`);
  }
}
