import { gzipSync } from "node:zlib";
import { uniform } from "../simulated/random.ts";
import { pick } from "./catalogue.ts";
import { withWholeEnd, type Element, type OrderStream } from "./stream.ts";

/** How the slots of a stream become files. */
export interface UploadOptions {
  /** The first files hold this many slots together; a later one holds a single slot. */
  history_slots: number;
  slots_per_history_file: number;
}

/** A change of the folder. Each may be repeated. */
export type Upload = { kind: "put"; name: string; bytes: Buffer } | { kind: "rename"; from: string; to: string };

/** What may happen to a file beside being written once. */
type Mishap = "twice" | "renamed" | "half" | "late";

const MISHAPS: readonly Mishap[] = ["twice", "renamed", "half", "late"];
const MISHAP_SHARE = 0.12;
const GZIP_SHARE = 0.2;
const HALF = 0.6;

const STREAM = { mishap: 181, mishap_kind: 182, layout: 183, gzip: 184 } as const;

type Layout = "array" | "lines" | "concatenated";
const LAYOUTS: readonly Layout[] = ["array", "lines", "lines", "concatenated"];

/** The files of a stream and the steps in which they are written; a function of the stream's parameters. */
export class Uploads {
  readonly #stream: OrderStream;
  readonly #options: UploadOptions;
  readonly history_files: number;

  constructor(stream: OrderStream, options: UploadOptions) {
    this.#stream = stream;
    this.#options = options;
    this.history_files = Math.ceil(options.history_slots / options.slots_per_history_file);
  }

  /** The slots of a file, from the first to before the second. */
  slots(file: number): [from: number, until: number] {
    const { history_slots, slots_per_history_file } = this.#options;
    if (file >= this.history_files) {
      const slot = history_slots + file - this.history_files;
      return [slot, slot + 1];
    }
    const from = file * slots_per_history_file;
    return [from, Math.min(history_slots, from + slots_per_history_file)];
  }

  /** The file that holds a slot after the history. */
  fileOfSlot(slot: number): number {
    return this.history_files + slot - this.#options.history_slots;
  }

  elements(file: number): Element[] {
    const [from, until] = this.slots(file);
    const elements: Element[] = [];
    for (let slot = from; slot < until; slot += 1) elements.push(...this.#stream.elements(slot));
    return withWholeEnd(elements);
  }

  /** The first part of a file's upload, in its step. */
  start(file: number): Upload[] {
    const mishap = this.#mishap(file);
    if (mishap === "late") return [];
    const { name, bytes } = this.#content(file);
    if (mishap === "half") return [{ kind: "put", name, bytes: firstPart(bytes) }];
    const put: Upload = { kind: "put", name, bytes };
    return mishap === "twice" ? [put, { ...put, name: otherName(name, "copy") }] : [put];
  }

  /** The rest of a file's upload, in the step after its own and after the start of the next file. */
  finish(file: number): Upload[] {
    const mishap = file < 0 ? null : this.#mishap(file);
    if (mishap === null || mishap === "twice") return [];
    const { name, bytes } = this.#content(file);
    if (mishap === "renamed") return [{ kind: "rename", from: name, to: otherName(name, "moved") }];
    return [{ kind: "put", name, bytes }];
  }

  #mishap(file: number): Mishap | null {
    const { seed } = this.#stream.options;
    if (uniform(seed, STREAM.mishap, file) >= MISHAP_SHARE) return null;
    return pick(MISHAPS, uniform(seed, STREAM.mishap_kind, file));
  }

  #content(file: number): { name: string; bytes: Buffer } {
    const { seed } = this.#stream.options;
    const elements = this.elements(file);
    const layout = layoutFor(elements, pick(LAYOUTS, uniform(seed, STREAM.layout, file)));
    const text = contentText(elements, layout);
    const is_gzip = uniform(seed, STREAM.gzip, file) < GZIP_SHARE;
    const ending = `${layout === "lines" ? "jsonl" : "json"}${is_gzip ? ".gz" : ""}`;
    const name = `orders-${this.#stream.run}-${String(file).padStart(8, "0")}.${ending}`;
    return { name, bytes: is_gzip ? gzipSync(text) : Buffer.from(text) };
  }
}

/** Concatenated texts need brackets at both ends, which separate them. */
function layoutFor(elements: readonly Element[], drawn: Layout): Layout {
  const are_objects = elements.every(({ text, is_cut }) => text.startsWith("{") && !is_cut);
  return drawn === "concatenated" && !are_objects ? "lines" : drawn;
}

function contentText(elements: readonly Element[], layout: Layout): string {
  const texts = elements.map(({ text }) => text);
  if (layout === "array") return `[\n${texts.join(",\n")}\n]\n`;
  return layout === "lines" ? texts.map((text) => `${text}\n`).join("") : texts.join("");
}

/** A part that ends inside an element: one that ended after an element would be a whole file to a reader. */
function firstPart(bytes: Buffer): Buffer {
  let end = Math.floor(bytes.length * HALF);
  while (end > 0 && "}\n".includes(String.fromCharCode(bytes[end - 1] ?? 0))) end -= 1;
  return bytes.subarray(0, end);
}

/** `a.json.gz` → `a-copy.json.gz`. */
function otherName(name: string, word: string): string {
  return name.replace(".", `-${word}.`);
}
