/** The fields of an event that determine its order. */
export interface EventPosition {
  /** Event time, microseconds UTC. */
  at_us: number;
  source: string;
  /** The product whose events the source numbers; null where it names none. */
  product: string | null;
  /** The source's consecutive number of the event; null where it has none. May exceed 2^53. */
  number: bigint | null;
  partition: number;
  offset: number;
  element_index: number;
}

/**
 * The total order of events: time, source, product, number, log position. Events of one moment arrive in any order (a
 * page lists the newest first, a gap is filled after later events), so the log position is the last criterion. Absent
 * values come first. `eventOrder` is the same order in SQL, and a pipeline's dbt project defines it as a macro.
 */
export function compareEvents(one: EventPosition, other: EventPosition): number {
  return (
    one.at_us - other.at_us ||
    compareText(one.source, other.source) ||
    compareText(one.product ?? "", other.product ?? "") ||
    compareNumbers(one.number ?? NO_NUMBER, other.number ?? NO_NUMBER) ||
    comparePositions(one, other)
  );
}

/** Compares by log position; events of one record, which become known at the same time, in event order. */
export function compareLogPosition(one: EventPosition, other: EventPosition): number {
  return one.partition - other.partition || one.offset - other.offset || compareEvents(one, other);
}

/** The accepted model's columns, or expressions over them, that the order of events compares. */
export interface EventColumns {
  at: string;
  source: string;
  product: string;
  number: string;
}

/** SQL expressions over the accepted model's columns that sort rows as `compareEvents` sorts events. */
export function eventOrder({ at, source, product, number }: EventColumns): readonly string[] {
  return [at, source, `coalesce(${product}, '')`, `coalesce(${number}, ${NO_NUMBER})`, ...LOG_POSITION];
}

const NO_NUMBER = -1n;

const LOG_POSITION = ["log_partition", "log_offset", "element_index"] as const;

function comparePositions(one: EventPosition, other: EventPosition): number {
  return one.partition - other.partition || one.offset - other.offset || one.element_index - other.element_index;
}

function compareNumbers(one: bigint, other: bigint): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/**
 * Compares UTF-8 bytes, as the engines do. `<` compares UTF-16, which sorts characters beyond the first 65,536
 * differently.
 */
function compareText(one: string, other: string): number {
  return one === other ? 0 : Buffer.compare(Buffer.from(one), Buffer.from(other));
}
