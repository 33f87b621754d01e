/**
 * Binary search: the first index in [low, high) for which `holds` is true, and true for all later ones; `high` where
 * there is none.
 */
export function firstIndex(low: number, high: number, holds: (index: number) => boolean): number {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
