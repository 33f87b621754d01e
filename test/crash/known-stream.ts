/** A stream of records whose content is known, which the pipeline reads while it is killed. */
export interface KnownStream {
  /** Options of `start` that select the pipeline and the source. */
  options: readonly string[];
  /** Whether the source is read at the speed of the plan. */
  has_speed: boolean;
  topic: string;
  /** Ends the stream and resolves to what it holds; the pipeline then drains it. */
  complete(): Promise<KnownContent>;
}

/** The expected content of the lake. */
export interface KnownContent {
  /** Null where the source decides how elements are packed into records. */
  records: number | null;
  accepted: number;
  duplicates: number;
  rejected: number;
  /** The script that compares the lake with the stream, by value, and its arguments after the catalog's address. */
  comparison: readonly [script: string, ...args: string[]];
}

export interface StreamOptions {
  /** An existing folder for the stream's files. */
  folder: string;
  seed: number;
  /** The length of a stream that is written before it is read. */
  records: number;
}
