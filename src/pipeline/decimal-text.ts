/** A DECIMAL without the zeros that pad it to its scale; every digit that counts stays. */
export function trimDecimal(text: string): string {
  return /^-?\d+\.\d+$/.test(text) ? text.replace(/\.?0+$/, "") : text;
}
