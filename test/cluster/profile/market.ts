import { isUtf8 } from "node:buffer";
import { writeFileSync } from "node:fs";
import { isoFromMicros } from "../../../src/base/clock.ts";
import { marketStream } from "../../dbt/stream.ts";

/** Writes a dirty market of several sources as a recording for `replay:`; returns its number of records. */
export async function writeMarket(file: string, seed: number): Promise<number> {
  const records = await marketStream(seed);
  const lines = records.map(({ source, key, payload, ingested_at_us }) => {
    const content = isUtf8(payload)
      ? { payload: Buffer.from(payload).toString() }
      : { payload_base64: Buffer.from(payload).toString("base64") };
    return JSON.stringify({ source, key, ingested_at: isoFromMicros(ingested_at_us), ...content });
  });
  writeFileSync(file, `${lines.join("\n")}\n`);
  return records.length;
}
