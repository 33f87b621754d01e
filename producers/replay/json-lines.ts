import { parseRecordLine } from "../../src/source/json-lines.ts";
import type { LineReader } from "./line-records.ts";

/** Raw records as JSON lines; the format stands in src/source/json-lines.ts. */
export function jsonLines(): LineReader {
  return {
    isRecord: () => true,
    read: ({ bytes, is_torn }) => (is_torn ? null : parseRecordLine(bytes)),
  };
}
