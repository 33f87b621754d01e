import assert from "node:assert/strict";
import { crypto } from "../../pipelines/crypto.ts";
import { openReplay } from "../../producers/replay.ts";
import type { Producer } from "../../src/producer/producer.ts";
import { recordingOf, writeKnownMarket } from "../crash/known-market.ts";
import { replayed } from "../support/coinlake.ts";
import { digest } from "./lake.ts";
import type { WorkloadType } from "./workload.ts";

const SEED = 5;
const APPENDED_RECORDS = 5;

/** A recording of the simulated market. The same records give the same rows, with a power cut and without. */
export const market: WorkloadType = {
  unit: "records",
  default_size: 120,
  open(folder, records) {
    const recording = recordingOf(folder, SEED);
    const until = (share: number): Promise<Producer> => inPieces(recording, Math.floor(records * share));
    return {
      pipeline: crypto,
      lake: { name: `replay-market-${SEED}`, kind: "replay", pipeline: crypto.name },
      prepare: async () => void (await writeKnownMarket(folder, { seed: SEED, records })),
      arriving: until,
      whole: () => until(1),
      start: (data_folder) => replayed(recording, data_folder),
      async compare(open, { recorded }) {
        assert.deepEqual((await digest(open, recorded.at)).now, recorded.now);
        return { repeated_elements: 0 };
      },
      leaves_tables_out: false,
    };
  },
};

/** The recording up to a record, in many small batches. */
async function inPieces(recording: string, until: number): Promise<Producer> {
  const whole = await openReplay({ file: recording, speed: "max" });
  return {
    id: whole.id,
    kind: whole.kind,
    probe: (signal) => whole.probe(signal),
    async *batches(context) {
      let done = context.position === null ? 0 : (JSON.parse(context.position) as { records: number }).records;
      for await (const batch of whole.batches(context)) {
        for (let from = 0; from < batch.records.length && done < until; from += APPENDED_RECORDS) {
          const records = batch.records.slice(from, Math.min(from + APPENDED_RECORDS, from + until - done));
          done += records.length;
          yield { records, position: JSON.stringify({ records: done }) };
        }
        if (done >= until) return;
      }
    },
  };
}
