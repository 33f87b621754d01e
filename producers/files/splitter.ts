import { isUtf8 } from "node:buffer";

/** A larger element is malformed: it would not fit into memory, the log and the engines a few times over. */
export const MAX_ELEMENT_BYTES = 4 * 1024 * 1024;
/** The part of an oversized element that is kept for its malformed piece. */
const KEPT_BYTES = 64 * 1024;
/** Deeper nesting is malformed. The limit also bounds how often a byte is scanned when many lines are cut off. */
const MAX_DEPTH = 128;

/** A piece of a file between separators. */
export interface Piece {
  /** Shares memory with the chunk. An oversized piece has its first part. */
  bytes: Buffer;
  /** The size of the whole piece. */
  size_bytes: number;
  /** Why the piece cannot be an element; null for a balanced text, which may still be invalid JSON. */
  reason: string | null;
}

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/**
 * Splits the bytes of a file into its elements, byte for byte. The first significant byte decides the layout: `[`
 * begins an array, whose elements are the pieces; anything else is a sequence of elements, one a line or concatenated.
 * Commas between elements are skipped in both layouts. The pieces depend on the bytes alone, never on how they are
 * divided into chunks. Memory is bounded by MAX_ELEMENT_BYTES and a chunk.
 *
 * An element that is cut off ends where its error shows, or before: at the first line end after which the text is
 * indented no deeper than the element. The lines after it are split again, so a cut-off line does not swallow the
 * complete lines below it.
 */
export class Splitter {
  readonly #emit: (piece: Piece) => void;
  #buffer: Buffer = Buffer.alloc(0);
  /** The next byte to scan. */
  #at = 0;
  /** The first byte of the current piece; -1 between pieces. */
  #from = -1;
  /** The first byte of the line that holds `#at` or the current piece; negative where it was discarded. */
  #line_at = 0;
  /** Indentation of the current piece in bytes. */
  #column = 0;
  #depth = 0;
  readonly #open = new Uint8Array(MAX_DEPTH);
  #is_in_string = false;
  #is_escaped = false;
  /** The last byte outside strings and white space in the current piece. */
  #previous = 0;
  /** The first part of an oversized piece, and the number of its discarded bytes. */
  #oversized: { head: Buffer; discarded_bytes: number } | null = null;
  #is_array_layout: boolean | null = null;
  #is_in_array = false;
  /** The number of bytes of a byte order mark seen at the start; 3 once something else was. */
  #mark_bytes = 0;

  constructor(emit: (piece: Piece) => void) {
    this.#emit = emit;
  }

  push(chunk: Uint8Array): void {
    const kept_from = this.#from < 0 ? this.#at : this.#from;
    const kept = this.#buffer.subarray(kept_from);
    this.#buffer =
      kept.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length) : Buffer.concat([kept, chunk]);
    this.#at -= kept_from;
    this.#line_at -= kept_from;
    if (this.#from >= 0) this.#from = 0;
    this.#scan();
  }

  /** Whether the text so far may continue: it is empty, or ends inside an element or an array. */
  get is_incomplete(): boolean {
    if (this.#is_in_array || this.#is_array_layout === null) return true;
    return this.#from >= 0 && (this.#depth > 0 || this.#is_in_string || !isJson(this.#current()));
  }

  /** The file ends here: emits what is left. */
  end(): void {
    while (this.#from >= 0) {
      if (this.#depth === 0 && !this.#is_in_string) this.#finish(this.#at, null);
      else this.#fail("the file ends inside this element", this.#at, this.#at - 1);
      this.#scan();
    }
  }

  #current(): Buffer {
    return this.#buffer.subarray(this.#from, this.#at);
  }

  #scan(): void {
    const end = this.#buffer.length;
    while (this.#at < end) {
      if (this.#from < 0) {
        this.#scanBetween();
        continue;
      }
      const limit = this.#oversized === null ? Math.min(end, this.#from + MAX_ELEMENT_BYTES) : end;
      if (this.#is_in_string) this.#scanString(limit);
      else if (this.#depth > 0) this.#scanContainer(limit);
      else this.#scanBare(limit);
      if (this.#from < 0 || this.#at < limit) continue;
      if (this.#oversized !== null) this.#discard();
      else if (this.#at - this.#from >= MAX_ELEMENT_BYTES) this.#outgrow();
    }
  }

  #scanBetween(): void {
    const byte = this.#buffer[this.#at] ?? 0;
    if (this.#mark_bytes < 3 && byte === BYTE_ORDER_MARK[this.#mark_bytes]) {
      this.#mark_bytes += 1;
      this.#at += 1;
      this.#line_at = this.#at;
      return;
    }
    this.#mark_bytes = 3;
    if (isBlank(byte) || byte === COMMA) {
      this.#at += 1;
      if (byte === LINE_FEED) this.#line_at = this.#at;
      return;
    }
    this.#is_array_layout ??= byte === OPEN_ARRAY;
    if (this.#is_array_layout && !this.#is_in_array && byte === OPEN_ARRAY) {
      this.#is_in_array = true;
      this.#at += 1;
    } else if (this.#is_in_array && byte === CLOSE_ARRAY) {
      this.#is_in_array = false;
      this.#at += 1;
    } else this.#begin(byte);
  }

  #begin(byte: number): void {
    this.#from = this.#at;
    this.#column = this.#at - this.#line_at;
    this.#depth = 0;
    this.#is_in_string = byte === QUOTE;
    this.#is_escaped = false;
    this.#previous = byte;
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) this.#push(byte);
    this.#at += 1;
  }

  #push(byte: number): void {
    this.#open[this.#depth] = byte;
    this.#depth += 1;
  }

  #scanString(limit: number): void {
    const buffer = this.#buffer;
    let at = this.#at;
    let is_escaped = this.#is_escaped;
    for (; at < limit; at += 1) {
      const byte = buffer[at];
      if (byte === LINE_FEED) {
        this.#at = at;
        this.#fail("a string contains a line end", at);
        return;
      }
      if (is_escaped) is_escaped = false;
      else if (byte === BACKSLASH) is_escaped = true;
      else if (byte === QUOTE) break;
    }
    this.#is_escaped = is_escaped;
    this.#at = at;
    if (at === limit) return;
    this.#is_in_string = false;
    this.#previous = QUOTE;
    this.#at += 1;
    if (this.#depth === 0) this.#finish(this.#at, null);
  }

  #scanContainer(limit: number): void {
    const buffer = this.#buffer;
    for (let at = this.#at; at < limit; at += 1) {
      const byte = buffer[at] ?? 0;
      if (isBlank(byte)) continue;
      this.#at = at;
      if (byte === QUOTE) {
        if (!this.#mayBegin(byte)) return this.#fail("a string follows a value", at);
        this.#is_in_string = true;
        this.#at = at + 1;
        return;
      }
      if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        if (!this.#mayBegin(byte)) return this.#fail("a value is where a name or a separator is expected", at);
        if (this.#depth === MAX_DEPTH) return this.#fail(`it is nested deeper than ${MAX_DEPTH} levels`, at + 1);
        this.#push(byte);
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
        const opening = byte === CLOSE_OBJECT ? OPEN_OBJECT : OPEN_ARRAY;
        if (this.#open[this.#depth - 1] !== opening) return this.#fail("a bracket closes another kind", at + 1);
        this.#depth -= 1;
        if (this.#depth === 0) return this.#finish(at + 1, null);
      }
      this.#previous = byte;
    }
    this.#at = limit;
  }

  /** Whether a string, an object or an array may follow the bytes before it. */
  #mayBegin(byte: number): boolean {
    const is_in_object = this.#open[this.#depth - 1] === OPEN_OBJECT;
    const is_name = byte === QUOTE || !is_in_object;
    if (this.#previous === COLON) return is_in_object;
    return is_name && (this.#previous === COMMA || this.#previous === OPEN_OBJECT || this.#previous === OPEN_ARRAY);
  }

  /** A number, a literal, or text that is not JSON: up to a separator, a bracket that opens, or the line's end. */
  #scanBare(limit: number): void {
    for (; this.#at < limit; this.#at += 1) {
      const byte = this.#buffer[this.#at];
      const is_end = byte === LINE_FEED || byte === COMMA || byte === OPEN_OBJECT || byte === OPEN_ARRAY;
      if (is_end || (byte === CLOSE_ARRAY && this.#is_in_array)) return this.#finish(this.#at, null);
    }
  }

  /** Ends the piece before `end`. */
  #finish(end: number, reason: string | null): void {
    const bytes = this.#buffer.subarray(this.#from, end);
    const oversized = this.#oversized;
    const last_line_end = bytes.lastIndexOf(LINE_FEED);
    if (last_line_end >= 0) this.#line_at = this.#from + last_line_end + 1;
    this.#from = -1;
    this.#oversized = null;
    this.#at = end;
    if (oversized === null) {
      this.#emit({ bytes: trimmed(bytes), size_bytes: bytes.length, reason });
      return;
    }
    this.#emit({
      bytes: oversized.head,
      size_bytes: oversized.discarded_bytes + bytes.length,
      reason: `it is larger than ${MAX_ELEMENT_BYTES} bytes`,
    });
  }

  /**
   * The piece is not an element. Ends it at the first line end after which the text begins again, or before `end`.
   * `last` is the last byte that decides this.
   */
  #fail(reason: string, end: number, last = this.#at): void {
    const line_end = this.#oversized === null ? this.#lineEndBeforeNext(last) : -1;
    this.#finish(line_end < 0 ? end : line_end, reason);
  }

  /** The first line end in the piece after which the text is indented no deeper than the piece; -1 without one. */
  #lineEndBeforeNext(last: number): number {
    const buffer = this.#buffer;
    let line_end = buffer.indexOf(LINE_FEED, this.#from);
    while (line_end >= 0) {
      let next = line_end + 1;
      while (next <= last && isBlank(buffer[next] ?? 0) && buffer[next] !== LINE_FEED) next += 1;
      if (next > last) return -1;
      if (buffer[next] !== LINE_FEED && next - line_end - 1 <= this.#column) return line_end;
      line_end = buffer.indexOf(LINE_FEED, line_end + 1);
    }
    return -1;
  }

  #outgrow(): void {
    if (this.#lineEndBeforeNext(this.#at - 1) >= 0) {
      this.#fail("it has no end within the size limit", this.#at, this.#at - 1);
      return;
    }
    this.#oversized = { head: Buffer.from(this.#current().subarray(0, KEPT_BYTES)), discarded_bytes: 0 };
    this.#discard();
  }

  #discard(): void {
    if (this.#oversized !== null) this.#oversized.discarded_bytes += this.#at - this.#from;
    this.#from = this.#at;
  }
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === TAB;
}

/** Without white space at its end, which belongs to the file rather than to a bare value. */
function trimmed(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && isBlank(bytes[end - 1] ?? 0)) end -= 1;
  return bytes.subarray(0, end);
}

function isJson(bytes: Buffer): boolean {
  return whyInvalid(bytes) === null;
}

/** Why a text is not a JSON value; null where it is one. */
export function whyInvalid(bytes: Buffer): string | null {
  if (!isUtf8(bytes)) return "it is not UTF-8";
  try {
    // Whether UTF-8 is JSON does not depend on its other characters, and Latin-1 is decoded faster.
    JSON.parse(bytes.toString("latin1"));
    return null;
  } catch (error) {
    if (error instanceof SyntaxError) return "it is not valid JSON";
    throw error;
  }
}
