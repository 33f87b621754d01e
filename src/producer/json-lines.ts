import { microsFromIso } from "../base/instant.ts";
import { epochTime, type EpochUnit } from "./epoch.ts";
import type { SourceRecord } from "./producer.ts";

/**
 * Raw records as JSON lines, one object a line:
 *
 *   {"source": "…", "ingested_at": "2025-10-10T21:00:00.123456Z", "payload": "…text…", "key": "…"}
 *
 * `ingested_at` may also be a count since 1970, in seconds, milliseconds, microseconds or nanoseconds as its magnitude
 * says. `payload_base64` replaces `payload` where the bytes are not UTF-8; `key` defaults to the source. Other
 * fields are ignored. The payload's bytes come back exactly: text that UTF-8 cannot hold (a lone surrogate) makes the
 * line malformed.
 */
const utf8 = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Parses a line without its line end; null where it is malformed. */
export function parseRecordLine(line: Uint8Array): SourceRecord | null {
  return parseTimedLine(line)?.record ?? null;
}

export interface TimedLine {
  record: SourceRecord;
  /** The text of `ingested_at`. */
  time_text: string;
  /** Null where the time is ISO 8601. */
  time_unit: EpochUnit | null;
}

/** Parses a line and the notation of its time; null where it is malformed. */
export function parseTimedLine(line: Uint8Array): TimedLine | null {
  const fields = parseObject(line);
  if (fields === null) return null;
  const { source, key = source, ingested_at } = fields;
  const time_text = String(ingested_at);
  const time =
    typeof ingested_at === "string" ? { unit: null, at_us: microsFromIso(ingested_at) } : epochTime(time_text);
  const payload = payloadOf(fields);
  if (!isName(source) || !isName(key) || time === null || time.at_us === null || payload === null) return null;
  return { record: { key, source, payload, ingested_at_us: time.at_us }, time_text, time_unit: time.unit };
}

function parseObject(line: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(utf8.decode(line));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function payloadOf(fields: Record<string, unknown>): Uint8Array | null {
  const { payload, payload_base64 } = fields;
  if (typeof payload === "string" && payload_base64 === undefined) {
    return payload.isWellFormed() ? encoder.encode(payload) : null;
  }
  if (typeof payload_base64 === "string" && payload === undefined && BASE64.test(payload_base64)) {
    return new Uint8Array(Buffer.from(payload_base64, "base64"));
  }
  return null;
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.isWellFormed();
}
