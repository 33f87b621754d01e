/** Formats counts, sizes and percentages. */

const counts = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export function formatCount(count: number): string {
  return counts.format(count);
}

/** Formats a percentage with its sign and unit. */
export function formatPercent(percent: number, decimals = 2): string {
  const text = Math.abs(percent).toFixed(decimals);
  if (Number(text) === 0) return `${text} %`;
  return `${percent < 0 ? "−" : "+"}${text.replace(/\B(?=(\d{3})+(?:\.|$))/g, ",")} %`;
}

/** Sign of the displayed value: 0 if it rounds to zero. */
export function directionOf(percent: number, decimals = 2): -1 | 0 | 1 {
  const shown = Number(percent.toFixed(decimals));
  if (shown === 0) return 0;
  return shown < 0 ? -1 : 1;
}

const SIZES = ["B", "kB", "MB", "GB", "TB"] as const;

export function formatBytes(size_bytes: number): string {
  let size = size_bytes;
  let unit = 0;
  while (size >= 999.5 && unit < SIZES.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? size.toFixed(0) : size.toFixed(1)} ${SIZES[unit] ?? ""}`;
}

/** Formats a number with about four significant digits and without an exponent. */
export function formatFigure(value: number): string {
  if (value === 0) return "0";
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  const text = value.toFixed(Math.min(12, Math.max(0, 3 - magnitude)));
  const [whole = "", fraction] = text.replace("-", "−").split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}
