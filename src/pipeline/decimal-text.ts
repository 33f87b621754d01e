/** Removes the trailing zeros that pad a DECIMAL to its scale. */
export function trimDecimal(text: string): string {
  return /^-?\d+\.\d+$/.test(text) ? text.replace(/\.?0+$/, "") : text;
}
