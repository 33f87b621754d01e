import { parseTimedLine } from "../../src/producer/json-lines.ts";
import type { LineReader } from "./line-records.ts";

/** Raw records as JSON lines, in the format of src/producer/json-lines.ts. */
export function jsonLines(): LineReader {
  return {
    isRecord: () => true,
    read({ bytes, is_torn }) {
      const line = is_torn ? null : parseTimedLine(bytes);
      return line === null ? null : { ...line.record, time_text: line.time_text, time_unit: line.time_unit };
    },
  };
}
