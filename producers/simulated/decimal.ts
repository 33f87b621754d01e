/** Decimals that silver stores; silver rounds smaller values to zero. */
const MAX_DECIMALS = 18;
const SIGNIFICANT_DIGITS = 6;

/** A positive number as plain decimal text, without exponent or trailing zeros: 67187.3, 0.000000012345. */
export function decimalText(value: number): string {
  const decimals = SIGNIFICANT_DIGITS - 1 - Math.floor(Math.log10(value));
  const text = value.toFixed(Math.min(Math.max(decimals, 2), MAX_DECIMALS));
  return text.replace(/\.?0+$/, "");
}

/** The same number in exponent form, a whole number of units: 0.012 is 12e-3. Takes plain decimal text. */
export function exponentText(decimal: string): string {
  const [whole = "", decimals = ""] = decimal.split(".");
  return `${`${whole}${decimals}`.replace(/^0+(?=\d)/, "")}e${decimals === "" ? "+0" : `-${decimals.length}`}`;
}
