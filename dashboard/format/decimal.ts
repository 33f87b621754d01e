/**
 * Formats decimal strings. Prices are never converted to doubles for display; they are rounded as integers.
 */

export interface Decimal {
  is_negative: boolean;
  /** All digits, without the decimal point. */
  digits: bigint;
  /** Number of digits after the decimal point. */
  scale: number;
}

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?$/;

/** Null for text that is not a plain decimal. */
export function parseDecimal(text: string): Decimal | null {
  const match = DECIMAL.exec(text);
  if (match === null) return null;
  const [, sign, whole = "", fraction = ""] = match;
  return { is_negative: sign === "-", digits: BigInt(whole + fraction), scale: fraction.length };
}

/** Rounds to exactly `decimals` decimals, half away from zero. */
export function roundTo({ is_negative, digits, scale }: Decimal, decimals: number): Decimal {
  if (scale <= decimals) return { is_negative, digits: digits * 10n ** BigInt(decimals - scale), scale: decimals };
  const unit = 10n ** BigInt(scale - decimals);
  return { is_negative, digits: (digits + unit / 2n) / unit, scale: decimals };
}

/** Position of the first significant digit: 3 for 104, 0 for 0.5, -4 for 0.00001234. */
export function magnitudeOf({ digits, scale }: Decimal): number {
  return digits === 0n ? 0 : digits.toString().length - scale;
}

/** Formats with thousands separators and a typographic minus sign, which is as wide as a digit. */
export function formatDecimal({ is_negative, digits, scale }: Decimal): string {
  const text = digits.toString().padStart(scale + 1, "0");
  const whole = text.slice(0, text.length - scale).replace(/\B(?=(\d{3})+$)/g, ",");
  const sign = is_negative && digits !== 0n ? "−" : "";
  return scale === 0 ? `${sign}${whole}` : `${sign}${whole}.${text.slice(text.length - scale)}`;
}

/** Converts to a double; for axes and pixel positions only. */
export function toNumber(text: string): number {
  return Number(text);
}

/** Decimals shown for a price. They depend on its magnitude only, so that the decimal point does not move. */
export function priceDecimals(price: Decimal): number {
  const magnitude = magnitudeOf(price);
  if (magnitude >= 3) return 2;
  if (magnitude === 2) return 3;
  // Below ten cents: four significant digits, as in 0.00001234.
  return Math.min(24, 4 - Math.min(0, magnitude));
}

export function formatPrice(text: string): string | null {
  const price = parseDecimal(text);
  return price === null ? null : formatDecimal(roundTo(price, priceDecimals(price)));
}

/** Formats every digit, for tooltips. */
export function formatExact(text: string): string {
  const value = parseDecimal(text);
  if (value === null) return text;
  return formatDecimal(value)
    .replace(/(\.\d*?)0+$/, "$1")
    .replace(/\.$/, "");
}

const UNITS = [
  { suffix: "T", power: 12 },
  { suffix: "B", power: 9 },
  { suffix: "M", power: 6 },
  { suffix: "K", power: 3 },
] as const;

/** Formats amounts of a thousand and more with a suffix (1.23T, 45.60B), others with two decimals. */
export function formatAmount(text: string): string | null {
  const amount = parseDecimal(text);
  if (amount === null) return null;
  for (const { suffix, power } of UNITS) {
    // An amount that rounds to 1000 of the smaller unit is shown as 1.00 of this one.
    const below = roundTo({ ...amount, scale: amount.scale + power - 3 }, 2);
    if (below.digits >= 100_000n)
      return `${formatDecimal(roundTo({ ...amount, scale: amount.scale + power }, 2))}${suffix}`;
  }
  return formatDecimal(roundTo(amount, 2));
}

/** Compares exactly: -1, 0 or 1; 0 if either is not a decimal. */
export function compareDecimals(left: string, right: string): number {
  const [a, b] = [parseDecimal(left), parseDecimal(right)];
  if (a === null || b === null) return 0;
  const scale = Math.max(a.scale, b.scale);
  const [x, y] = [signed(roundTo(a, scale)), signed(roundTo(b, scale))];
  if (x === y) return 0;
  return x < y ? -1 : 1;
}

function signed({ is_negative, digits }: Decimal): bigint {
  return is_negative ? -digits : digits;
}
