import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { OrderStream } from "../../../producers/orders/stream.ts";
import { truthOf } from "../../../producers/orders/truth.ts";
import { Uploads } from "../../../producers/orders/uploads.ts";
import { simulatedOrders, SIMULATED_ORDERS_DEFAULTS } from "../../../producers/simulated-orders.ts";
import { temporaryFolder } from "../../support/coinlake.ts";
import { judge } from "../orders/judge.ts";
import { lines, orders, Reading } from "./reading.ts";

export interface TestBucket {
  bucket: string;
  /** Creates or replaces an object, as other programs do. */
  put(key: string, bytes: Uint8Array): Promise<void>;
  keys(prefix: string): Promise<string[]>;
}

/** The sources of files in an S3 service; the `AWS_...` variables name it. */
export function describeFilesInS3(service: string, open: () => Promise<TestBucket>): void {
  describe(`files in ${service}`, () => {
    const folder = temporaryFolder();
    after(() => folder.remove());

    test("each object under a prefix is read once, in ranges, and again when its content changes", async () => {
      const { bucket, put, keys } = await open();
      const reading = new Reading(join(folder.path, "prefix"), `s3://${bucket}/in`);
      const filler = "x".repeat(1_000);
      const many = orders("m", 5_000).map((order) => ({ ...order, filler }));
      await put("in/many.jsonl", Buffer.from(lines(many)));
      await put("in/2026/né w.json.gz", gzipSync(JSON.stringify(orders("a", 3))));
      await put("in/.hidden.json", Buffer.from("{}"));
      await put("in/empty.json", Buffer.alloc(0));
      await put("in-other/b.json", Buffer.from("{}"));
      await reading.run();
      const payloads = await reading.payloads();
      const elementsOf = (name: string) =>
        payloads.filter(({ file }) => file === name).flatMap(({ elements = [] }) => elements);
      assert.deepEqual(elementsOf("many.jsonl"), many);
      assert.deepEqual(elementsOf("2026/né w.json.gz"), orders("a", 3));
      assert.deepEqual([...new Set(payloads.map(({ file }) => file))].toSorted(), ["2026/né w.json.gz", "many.jsonl"]);
      await put("in/2026/né w.json.gz", Buffer.from(JSON.stringify(orders("b", 3))));
      await put("in/again.jsonl", Buffer.from(lines(many)));
      await reading.run();
      const added = (await reading.payloads()).slice(payloads.length);
      assert.deepEqual(
        added.map(({ file, elements }) => [file, elements]),
        [["2026/né w.json.gz", orders("b", 3)]],
      );
      assert.equal((await keys("in/")).length, 5, "the source changes nothing");
    });

    test("the simulated shop uploads to a prefix, and its orders are in the log exactly once", async () => {
      const { bucket } = await open();
      const reading = new Reading(join(folder.path, "shop"), `s3://${bucket}/shop`);
      const slots = 240;
      const options = { history_ms: slots * 5_000, orders_per_slot: 2, slots_per_history_file: 10 };
      const make = () => simulatedOrders({ ...options, location: reading.inbox, is_until_drained: true });
      await reading.run({ producer: make(), for_s: 8 });
      await reading.run({ producer: make() });
      const start_ms = Date.parse("2025-10-10T12:00:00Z") - options.history_ms;
      const { seed, slot_ms, rates, version_1_share } = SIMULATED_ORDERS_DEFAULTS;
      const version_2_from_slot = Math.floor(slots * version_1_share);
      const stream = new OrderStream({ seed, slot_ms, rates, orders_per_slot: 2, start_ms, version_2_from_slot });
      const uploads = new Uploads(stream, { history_slots: slots, slots_per_history_file: 10 });
      const truth = truthOf(Array.from({ length: uploads.history_files }, (_, file) => uploads.elements(file)).flat());
      const texts = (await reading.payloads()).flatMap(
        ({ elements, malformed = "" }) => elements?.map((element) => JSON.stringify(element)) ?? [malformed],
      );
      const judged = judge(texts, start_ms + options.history_ms);
      assert.deepEqual(judged.accepted.toSorted(), truth.accepted.map(({ event_id }) => event_id).toSorted());
      assert.deepEqual([judged.rejected, judged.duplicates], [Object.fromEntries(truth.rejected), truth.duplicates]);
    });
  });
}
