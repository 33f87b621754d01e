import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ecommerce } from "../../pipelines/ecommerce.ts";
import { openFiles } from "../../producers/files.ts";
import { openFolder } from "../../producers/files/folder.ts";
import { FilesSource } from "../../producers/files/source.ts";
import { OrderStream } from "../../producers/orders/stream.ts";
import { Uploads, type Upload } from "../../producers/orders/uploads.ts";
import type { Producer } from "../../src/producer/producer.ts";
import { applyUpload, ORDERS, writeTruth } from "../crash/known-orders.ts";
import { runComparison } from "../crash/pyiceberg.ts";
import type { WorkloadType } from "./workload.ts";

/** With this seed files come twice, renamed, late, half-written and compressed among the first dozen. */
const SEED = 205;
/** The first file needs several appends: its position is inside the file in between. */
const FIRST_FILE_SLOTS = 160;
/** Fast, because one process writes the files and lists them. Every incomplete file is completed by the next step. */
const PACE = {
  source: "orders",
  settle_ms: 0,
  incomplete_after_ms: 3_600_000,
  interval_ms: 20,
  is_until_drained: true,
};

/**
 * Files of orders that arrive while they are read. The shop's folder is not on the disk whose power is cut. After the
 * cut the source may have forgotten files that it had read; their elements then come twice, and count once.
 */
export const orders: WorkloadType = {
  unit: "files",
  default_size: 18,
  open(folder, files) {
    const inbox = join(folder, "inbox");
    const uploads = new Uploads(new OrderStream({ seed: SEED, ...ORDERS }), {
      history_slots: FIRST_FILE_SLOTS,
      slots_per_history_file: FIRST_FILE_SLOTS,
    });
    const truth = join(folder, "truth.json");
    let [started, finished] = [0, 0];
    return {
      pipeline: ecommerce,
      lake: { name: `${ecommerce.lake_prefix}-live-inbox`, kind: "live", pipeline: ecommerce.name },
      async prepare() {
        mkdirSync(inbox);
        writeTruth(Array.from({ length: files }, (_, file) => uploads.elements(file)).flat(), truth);
      },
      async arriving(share) {
        const until = Math.floor(files * share);
        return sourceOf(inbox, () => {
          const started_before = started;
          if (started < until) {
            applyAll(inbox, uploads.start(started));
            started += 1;
          }
          for (; finished < started_before; finished += 1) applyAll(inbox, uploads.finish(finished));
          return finished < until;
        });
      },
      whole: () => openFiles({ location: inbox, ...PACE }),
      start(data_folder) {
        const source = ["--pipeline", ecommerce.name, "--source", `files:${inbox}`, "--until-drained"];
        return ["start", ...source, "--catalog-port", "0", "--data", data_folder];
      },
      async compare(open, { remembered_records, kept_records }) {
        const since = [remembered_records, kept_records].map(String);
        const report = await runComparison(open.server.url, ["compare_orders.py", truth, ...since]);
        return { repeated_elements: (report["repeated elements"] as { found: number }).found };
      },
      leaves_tables_out: true,
    };
  },
};

function applyAll(inbox: string, changes: readonly Upload[]): void {
  for (const change of changes) applyUpload(inbox, change);
}

/** The same source as `openFiles` gives, which calls `upload` before each listing until that returns false. */
function sourceOf(location: string, upload: () => boolean): Producer {
  const folder = openFolder(location);
  const refresh = async (): Promise<boolean> => upload();
  return new FilesSource({
    ...PACE,
    id: `files:${folder.location}`,
    kind: "live",
    openInbox: async () => ({ folder, refresh }),
  });
}
