import { TICK_DECIMALS } from "../../pipeline/definition.ts";

const DIGITS = TICK_DECIMALS;
const UNIT = 10n ** BigInt(DIGITS);
const MILLIONTH = 10n ** BigInt(DIGITS - 6);

/**
 * Converts a plain decimal to whole units of a tick. Throws RangeError for more decimals than the smallest unit has.
 */
export function unitsOf(text: string): bigint {
  const match = /^(-?)(\d+)(?:\.(\d{1,24}))?$/.exec(text);
  if (!match) throw new RangeError(`"${text}" is no decimal with at most ${DIGITS} places`);
  const [, measurement, whole = "", fraction = ""] = match;
  const units = BigInt(whole + fraction.padEnd(DIGITS, "0"));
  return measurement ? -units : units;
}

/** Formats units as a decimal without trailing zeros. */
export function textOf(units: bigint): string {
  const magnitude = units < 0n ? -units : units;
  const fraction = String(magnitude % UNIT)
    .padStart(DIGITS, "0")
    .replace(/0+$/, "");
  return `${units < 0n ? "-" : ""}${magnitude / UNIT}${fraction ? `.${fraction}` : ""}`;
}

/** Converts a number of at most six decimals exactly to millionths. */
export function millionthsOf(value: number): bigint {
  return unitsOf(String(value)) / MILLIONTH;
}

/** `part / whole`, truncated to six decimals. */
export function ratioOf(part: bigint, whole: bigint): number {
  return whole === 0n ? 0 : Number((part * 1_000_000n) / whole) / 1_000_000;
}
