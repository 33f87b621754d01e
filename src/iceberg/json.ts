/**
 * JSON without loss: Iceberg's snapshot ids are 64 bits, and a double holds 53. Integers beyond that become bigint,
 * and are written back digit for digit.
 */

interface LosslessJSON {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
}
/** ECMAScript 2026's source text access; Node 24 has it, TypeScript's library does not know it yet. */
const LOSSLESS = JSON as unknown as LosslessJSON;

/** Fewer digits than this fit a double: such text needs no reviver, which costs five times the parse. */
const LONG_INTEGER = /\d{16}/;
const INTEGER = /^-?\d+$/;

/** Throws SyntaxError. */
export function parseJson(text: string): unknown {
  if (!LONG_INTEGER.test(text)) return JSON.parse(text);
  return LOSSLESS.parse(text, (_key, value, { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined && INTEGER.test(source)
      ? BigInt(source)
      : value,
  );
}

export function formatJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === "bigint" ? LOSSLESS.rawJSON(item.toString()) : item,
  );
}
