import { isUtf8 } from "node:buffer";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { whyInvalid, type Piece } from "./splitter.ts";

/** A record holds elements up to this size, or a single larger element. */
const RECORD_BYTES = 4 * 1024;
/** The characters of a malformed piece that its record keeps. */
const MAX_MALFORMED_CHARACTERS = 10_000;
/** A UTF-8 character has at most four bytes; decoding more would cost time for nothing. */
const MAX_DECODED_BYTES = 4 * MAX_MALFORMED_CHARACTERS;

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

export interface FileOfRecords {
  /** The file's name relative to the folder or prefix; the records' key. */
  file: string;
  /** The `source` column of bronze. */
  source: string;
}

/** A record, and the index of the element after its last one. */
export interface FileRecord {
  record: SourceRecord;
  next_element: number;
}

/**
 * Collects the pieces of one file into records. A malformed piece counts as one element. Two kinds of payload:
 *
 *   {"file": NAME, "first_element": N, "elements": [TEXT, TEXT ...]}
 *   {"file": NAME, "first_element": N, "malformed": "TEXT", "reason": "...", "size_bytes": N, "is_utf8": true}
 *
 * Elements are the file's texts, byte for byte. A malformed text is a JSON string of at most 10,000 characters, in
 * which U+FFFD replaces what is not UTF-8; `is_utf8` is then false. `size_bytes` is the size of the whole piece.
 */
export class FileRecords {
  readonly #of: FileOfRecords;
  readonly #now_us: () => number;
  #next_element = 0;
  /** The first element of the record under construction. */
  #first_element = 0;
  #elements: Buffer[] = [];
  #size_bytes = 0;
  #finished: FileRecord[] = [];

  /** Skips the elements before `from`, which the log already holds. */
  readonly #from: number;

  constructor(of: FileOfRecords, from: number, now_us: () => number) {
    this.#of = of;
    this.#from = from;
    this.#now_us = now_us;
  }

  /** The number of elements so far, those skipped included. */
  get elements(): number {
    return this.#next_element;
  }

  add(piece: Piece): void {
    const element = this.#next_element;
    this.#next_element += 1;
    if (element < this.#from) return;
    const reason = piece.reason ?? whyInvalid(piece.bytes);
    if (reason !== null) {
      this.#close(element);
      this.#finish(malformedText(this.#of.file, element, piece, reason), element + 1);
      return;
    }
    if (this.#size_bytes + piece.bytes.length > RECORD_BYTES) this.#close(element);
    if (this.#elements.length === 0) this.#first_element = element;
    else this.#elements.push(COMMA);
    this.#elements.push(piece.bytes);
    this.#size_bytes += piece.bytes.length;
  }

  /** Completes the last record. */
  end(): void {
    this.#close(this.#next_element);
  }

  /** The records completed since the last call. */
  take(): FileRecord[] {
    return this.#finished.splice(0);
  }

  #close(next_element: number): void {
    if (this.#elements.length === 0) return;
    const head = `{"file":${JSON.stringify(this.#of.file)},"first_element":${this.#first_element},"elements":[`;
    const payload = Buffer.concat([Buffer.from(head), ...this.#elements, END]);
    this.#elements = [];
    this.#size_bytes = 0;
    this.#finish(payload, next_element);
  }

  #finish(payload: Uint8Array, next_element: number): void {
    const { file, source } = this.#of;
    this.#finished.push({ record: { key: file, source, payload, ingested_at_us: this.#now_us() }, next_element });
  }
}

const COMMA = Buffer.from(",");
const END = Buffer.from("]}");

function malformedText(file: string, first_element: number, piece: Piece, reason: string): Uint8Array {
  const text = utf8.decode(piece.bytes.subarray(0, MAX_DECODED_BYTES));
  // Half of a surrogate pair at the cut would make the JSON invalid for strict parsers.
  const malformed = text.slice(0, MAX_MALFORMED_CHARACTERS).toWellFormed();
  return Buffer.from(
    JSON.stringify({
      file,
      first_element,
      malformed,
      reason,
      size_bytes: piece.size_bytes,
      is_utf8: isUtf8Text(piece),
    }),
  );
}

/** An oversized piece may end inside a character, which has at most four bytes. */
function isUtf8Text({ bytes, size_bytes }: Piece): boolean {
  const cut_bytes = size_bytes > bytes.length ? 3 : 0;
  for (let end = bytes.length; end >= bytes.length - cut_bytes; end -= 1) {
    if (isUtf8(bytes.subarray(0, end))) return true;
  }
  return false;
}
