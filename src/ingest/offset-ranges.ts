/** The offsets from `from` up to, but not including, `to`. */
export type OffsetRange = readonly [from: number, to: number];

/** Ranges by partition, ascending and neither overlapping nor adjacent. */
export type OffsetRanges = ReadonlyMap<number, readonly OffsetRange[]>;

export const NO_OFFSETS: OffsetRanges = new Map();

export function countOffsets(ranges: OffsetRanges): number {
  return [...ranges.values()].flat().reduce((total, [from, to]) => total + to - from, 0);
}

export function unionOffsets(a: OffsetRanges, b: OffsetRanges): OffsetRanges {
  return combine(a, b, (ours, theirs) => merged([...ours, ...theirs]));
}

/** The offsets of `a` that are not in `b`. Pure. */
export function subtractOffsets(a: OffsetRanges, b: OffsetRanges): OffsetRanges {
  return combine(a, b, (ours, theirs) => theirs.reduce(without, ours));
}

export function intersectOffsets(a: OffsetRanges, b: OffsetRanges): OffsetRanges {
  return subtractOffsets(a, subtractOffsets(a, b));
}

/** Formats ranges for messages: `crypto.prices.raw/0 offsets 12 to 40, 50`. */
export function formatOffsets(topic: string, ranges: OffsetRanges): string {
  const words = ([from, to]: OffsetRange): string => (to - from === 1 ? String(from) : `${from} to ${to - 1}`);
  return [...ranges]
    .map(([partition, some]) => `${topic}/${partition} offsets ${some.map(words).join(", ")}`)
    .join("; ");
}

type Ranges = readonly OffsetRange[];

function combine(a: OffsetRanges, b: OffsetRanges, work: (ours: Ranges, theirs: Ranges) => Ranges): OffsetRanges {
  const partitions = [...new Set([...a.keys(), ...b.keys()])].sort((one, other) => one - other);
  const combined = partitions.map(
    (partition) => [partition, work(a.get(partition) ?? [], b.get(partition) ?? [])] as const,
  );
  return new Map(combined.filter(([, ranges]) => ranges.length > 0));
}

function merged(ranges: Ranges): Ranges {
  const result: [number, number][] = [];
  for (const [from, to] of [...ranges].sort(([a], [b]) => a - b)) {
    const last = result.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else if (to > from) result.push([from, to]);
  }
  return result;
}

function without(ranges: Ranges, [from, to]: OffsetRange): Ranges {
  return ranges.flatMap(([begin, end]): OffsetRange[] => {
    const parts: OffsetRange[] = [
      [begin, Math.min(end, from)],
      [Math.max(begin, to), end],
    ];
    return to <= begin || from >= end ? [[begin, end]] : parts.filter(([first, last]) => last > first);
  });
}
