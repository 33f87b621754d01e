import { tableFromIPC, Type, type DataType } from "@uwdata/flechette";
import { isoFromMicros } from "../base/clock.ts";

/**
 * An exact value of a result: 64-bit integers are bigints; decimals, dates and times are text (times in UTC with
 * microseconds, those without a zone without the final Z); arrays, structs and maps contain values.
 */
export type SparkValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | SparkValue[]
  | { [name: string]: SparkValue };

export type SparkRow = Record<string, SparkValue>;

const EXACT = { useBigInt: true, useDecimalInt: true, useBigIntTimestamp: true, useDate: false } as const;
const DAY_MS = 86_400_000;

/** The rows of one part of a result: one stream in Arrow's IPC format. */
export function rowsFromArrow(bytes: Uint8Array): SparkRow[] {
  // A copy starts at an aligned address, which a slice of a message may not.
  const table = tableFromIPC(new Uint8Array(bytes), EXACT);
  const columns = table.schema.fields.map(({ name, type }, index) => ({ name, type, values: table.getChildAt(index) }));
  return Array.from({ length: table.numRows }, (_, row) =>
    Object.fromEntries(columns.map(({ name, type, values }) => [name, convert(values.at(row), type)])),
  );
}

/** Converts Arrow's value by its type. */
function convert(value: unknown, type: DataType): SparkValue {
  if (value === null || value === undefined) return null;
  switch (type.typeId) {
    case Type.Decimal:
      return decimalText(BigInt(value as bigint | number), type.scale);
    case Type.Date:
      return new Date(Math.floor(Number(value) / DAY_MS) * DAY_MS).toISOString().slice(0, 10);
    case Type.Timestamp: {
      const text = isoFromMicros(Number(value));
      return type.timezone === null ? text.slice(0, -1) : text;
    }
    case Type.List: {
      const [element] = type.children;
      return element === undefined ? [] : Array.from(value as Iterable<unknown>, (item) => convert(item, element.type));
    }
    case Type.Struct: {
      const fields = value as Record<string, unknown>;
      return Object.fromEntries(
        type.children.map(({ name, type: field_type }) => [name, convert(fields[name], field_type)]),
      );
    }
    case Type.Map: {
      const entry = type.children[0]?.type;
      const value_type = entry?.typeId === Type.Struct ? entry.children[1]?.type : undefined;
      if (value_type === undefined) throw new TypeError("Arrow's maps have entries of a key and a value");
      return Object.fromEntries(
        Array.from(value as Iterable<[unknown, unknown]>, ([key, item]) => [String(key), convert(item, value_type)]),
      );
    }
    default:
      return value as SparkValue;
  }
}

function decimalText(unscaled: bigint, scale: number): string {
  const sign = unscaled < 0n ? "-" : "";
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
