import { isoFromMicros } from "../../src/base/clock.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";

/** A record as a JSON line, with its payload as text if its bytes are UTF-8. */
export function recordLine({ key, source, payload, ingested_at_us }: SourceRecord): string {
  const bytes = Buffer.from(payload);
  const text = bytes.toString("utf8");
  const body = Buffer.from(text).equals(bytes) ? { payload: text } : { payload_base64: bytes.toString("base64") };
  return JSON.stringify({
    source,
    ...(key === source ? {} : { key }),
    ingested_at: isoFromMicros(ingested_at_us),
    ...body,
  });
}
