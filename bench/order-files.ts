import { mkdirSync, readdirSync, renameSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_RATES, OrderStream, type Element } from "../producers/orders/stream.ts";
import { OutcomeOfOrders } from "../producers/orders/truth.ts";
import { Uploads, type Upload } from "../producers/orders/uploads.ts";

export interface OrderFiles {
  /** The number of files, and their bytes as stored. */
  files: number;
  size_bytes: number;
  truth: OutcomeOfOrders;
}

export interface OrderFilesOptions {
  folder: string;
  /** Where the same elements go one a line, file by file: the layout in which DuckDB can pass over malformed ones. */
  lines_folder: string;
  seed: number;
  /** Orders on average; the stream draws the number of each slot. */
  orders: number;
  /** Files that hold each order once; copies and truncated copies come on top. */
  files: number;
}

/** Mondays have no meaning here; a fixed start gives equal files in each run. */
const START_MS = Date.UTC(2026, 0, 5);
const DAYS = 7;
const DAY_MS = 86_400_000;
const SLOTS_PER_FILE = 5;
/** A truncated copy is added for one of so many files. */
const FILES_PER_TRUNCATED = 100;

/**
 * Writes a week of orders as files, as the simulated shops upload them: events twice, late, in disorder and invalid;
 * files twice, renamed and half-written before the rest. Uploads that never finished are added: truncated copies.
 */
export function writeOrderFiles({ folder, lines_folder, seed, orders, files }: OrderFilesOptions): OrderFiles {
  const slots = files * SLOTS_PER_FILE;
  const stream = new OrderStream({
    seed,
    start_ms: START_MS,
    slot_ms: Math.floor((DAYS * DAY_MS) / slots),
    orders_per_slot: orders / slots,
    version_2_from_slot: Math.floor(slots / 2),
    rates: DEFAULT_RATES,
  });
  const uploads = new Uploads(stream, { history_slots: slots, slots_per_history_file: SLOTS_PER_FILE });
  const truth = new OutcomeOfOrders();
  mkdirSync(folder, { recursive: true });
  mkdirSync(lines_folder, { recursive: true });
  for (let file = 0; file <= files; file += 1) {
    const started = file < files ? uploads.start(file) : [];
    for (const upload of [...started, ...uploads.finish(file - 1)]) apply(folder, upload, file);
    if (file === files) break;
    const elements = uploads.elements(file);
    for (const element of elements) truth.add(element);
    // A file that was uploaded twice is in DuckDB's folder twice too.
    for (let copy = 0; copy < Math.max(1, started.length); copy += 1)
      write(join(lines_folder, `${file}-${copy}.jsonl`), linesOf(elements), file);
    if (file % FILES_PER_TRUNCATED !== FILES_PER_TRUNCATED - 1) continue;
    const truncated = truncatedCopy(elements);
    for (const element of truncated.elements) truth.add(element);
    write(join(folder, `truncated-${file}.jsonl`), truncated.bytes, file);
    write(join(lines_folder, `truncated-${file}.jsonl`), truncated.bytes, file);
  }
  const stored = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
  return { files: stored.length, size_bytes: stored.reduce((sum, size) => sum + size, 0), truth };
}

function apply(folder: string, upload: Upload, file: number): void {
  if (upload.kind === "put") write(join(folder, upload.name), upload.bytes, file);
  else renameSync(join(folder, upload.from), join(folder, upload.to));
}

function linesOf(elements: readonly Element[]): Buffer {
  return Buffer.from(elements.map(({ text }) => `${text}\n`).join(""));
}

/** Files are a second apart, so that the source reads them in their order. */
function write(path: string, bytes: Buffer, file: number): void {
  writeFileSync(path, bytes);
  const modified_s = START_MS / 1000 + file;
  utimesSync(path, modified_s, modified_s);
}

/** The first half of a file's events, one a line, of which the last line ends in its middle. */
function truncatedCopy(elements: readonly Element[]): { elements: Element[]; bytes: Buffer } {
  const last = elements.findIndex(({ event }, index) => event !== null && index >= elements.length / 2);
  const whole = elements.slice(0, last);
  const text = elements[last]?.text ?? "";
  const cut: Element = { text: text.slice(0, text.length / 2), event: null, reason: "invalid_json", is_cut: true };
  return { elements: [...whole, cut], bytes: Buffer.concat([linesOf(whole), Buffer.from(cut.text)]) };
}
