/** A row of the benchmarks' table. */
export interface Figure {
  what: string;
  value: string;
  target: string;
  peer: string;
  is_met: boolean | null;
}

export function atLeast(what: string, value: number, target: number, peer = ""): Figure {
  return { what, value: round(value), target: `≥ ${round(target)}`, peer, is_met: value >= target };
}

export function atMost(what: string, value: number, target: number | null, peer = ""): Figure {
  return {
    what,
    value: round(value),
    target: target === null ? "" : `≤ ${round(target)}`,
    peer,
    is_met: target === null ? null : value <= target,
  };
}

export function rate(what: string, value: number, peer: string): Figure {
  return { what, value: round(value), target: "", peer, is_met: null };
}

export function round(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 2 : 0 });
}

export function ratio(a: number, b: number): string {
  return (a / b).toFixed(1);
}
