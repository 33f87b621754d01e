import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Operation } from "./trace.ts";

/** A draw from [0, 1) that decides whether an unsynced change reached the disk. */
export type Draw = () => number;

interface Change {
  end: number;
  apply(): void;
  is_applied: boolean;
}

/** A byte buffer that grows in place. */
class Content {
  #buffer = Buffer.alloc(4096);
  length = 0;

  write(at: number, bytes: Buffer): void {
    this.resize(Math.max(this.length, at + bytes.length));
    bytes.copy(this.#buffer, at);
  }

  resize(size: number): void {
    if (size > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(size, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, this.length);
      this.#buffer = larger;
    }
    if (size < this.length) this.#buffer.fill(0, size, this.length);
    this.length = size;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }
}

class File {
  /** The content that processes see. */
  readonly now = new Content();
  /** The content that survives a power cut. */
  readonly durable = new Content();
  pending: Change[] = [];

  write(at: number, bytes: Buffer, end: number): void {
    this.now.write(at, bytes);
    this.#later(end, () => this.durable.write(at, bytes));
  }

  resize(size: number, end: number): void {
    this.now.resize(size);
    this.#later(end, () => this.durable.resize(size));
  }

  #later(end: number, apply: () => void): void {
    this.pending.push({ end, apply, is_applied: false });
  }
}

class Folder {
  readonly now = new Map<string, File | Folder>();
  readonly durable = new Map<string, File | Folder>();
  pending: Change[] = [];
}

/**
 * A disk that keeps only what POSIX guarantees: the content of a file at the start of its last fsync or fdatasync, and
 * the entries of a folder at the start of its last fsync. A power cut discards all later writes, creations, renames and
 * removals, unless the draw keeps them. A rename across folders is one change. SQLite's `-shm` files are excluded:
 * processes share them as memory, and SQLite recreates them.
 */
export class Disk {
  readonly #root_path: string;
  readonly #root = new Folder();
  /** Position of the next plain write of a descriptor. */
  readonly #positions = new Map<string, number>();

  /** The folder `root` itself is durable. */
  constructor(root: string) {
    this.#root_path = root;
  }

  apply(operation: Operation): void {
    const { end } = operation;
    switch (operation.kind) {
      case "open":
        return this.#open(operation);
      case "write": {
        const file = this.#file(operation.path);
        if (file === null) return;
        const at = operation.at ?? this.#positions.get(operation.descriptor) ?? 0;
        if (operation.at === null) this.#positions.set(operation.descriptor, at + operation.bytes.length);
        return file.write(at, operation.bytes, end);
      }
      case "seek":
        return void this.#positions.set(operation.descriptor, operation.at);
      case "truncate":
        return this.#file(operation.path)?.resize(operation.size, end);
      case "extend": {
        const file = this.#file(operation.path);
        return file?.resize(Math.max(file.now.length, operation.size), end);
      }
      case "sync":
        return applyBefore(this.#node(operation.path)?.pending ?? [], operation.start);
      case "rename":
        return this.#rename(operation.from, operation.to, end);
      case "unlink":
      case "rmdir": {
        const [folder, name] = this.#place(operation.path);
        folder.now.delete(name);
        return later([folder], end, () => folder.durable.delete(name));
      }
      case "mkdir":
        return this.#add(operation.path, new Folder(), end);
    }
  }

  /** Every file with its content as processes see it, by path. */
  contents(): Map<string, Buffer> {
    return filesIn(
      this.#root,
      this.#root_path,
      (folder) => folder.now,
      (file) => file.now.bytes(),
    );
  }

  /** Replaces the root folder with the state after a power cut. The disk cannot be used afterwards. */
  cutTo(root: string, draw: Draw): void {
    keepSome(this.#root, draw);
    rmSync(root, { recursive: true, force: true });
    writeFolder(this.#root, root);
  }

  #open({ path, descriptor, is_created, is_truncated, is_appending, end }: Extract<Operation, { kind: "open" }>): void {
    let node = this.#node(path);
    if (node === null) {
      if (!is_created) throw new Error(`${path} was opened and is not on the modelled disk`);
      node = new File();
      this.#add(path, node, end);
    }
    if (!(node instanceof File)) return;
    if (is_truncated && node.now.length > 0) node.resize(0, end);
    this.#positions.set(descriptor, is_appending ? node.now.length : 0);
  }

  #rename(from: string, to: string, end: number): void {
    const [source, name] = this.#place(from);
    const [target, new_name] = this.#place(to);
    const node = source.now.get(name);
    if (node === undefined) throw new Error(`${from} was renamed and is not on the modelled disk`);
    source.now.delete(name);
    target.now.set(new_name, node);
    later([...new Set([source, target])], end, () => {
      source.durable.delete(name);
      target.durable.set(new_name, node);
    });
  }

  #add(path: string, node: File | Folder, end: number): void {
    const [folder, name] = this.#place(path);
    folder.now.set(name, node);
    later([folder], end, () => folder.durable.set(name, node));
  }

  #node(path: string): File | Folder | null {
    let node: File | Folder | undefined = this.#root;
    for (const name of path.slice(this.#root_path.length).split("/").filter(Boolean)) {
      node = node instanceof Folder ? node.now.get(name) : undefined;
    }
    return node ?? null;
  }

  #file(path: string): File | null {
    const node = this.#node(path);
    return node instanceof File ? node : null;
  }

  #place(path: string): [Folder, string] {
    const folder = this.#node(dirname(path));
    if (!(folder instanceof Folder)) throw new Error(`${dirname(path)} is no folder of the modelled disk`);
    return [folder, basename(path)];
  }
}

/** The files in a real folder, in the form of `contents`. */
export function filesBelow(root: string, isLeftOut: (path: string) => boolean = () => false): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !isShared(entry.name) && !isLeftOut(path)) found.set(path, readFileSync(path));
  }
  return found;
}

function isShared(name: string): boolean {
  return name.endsWith("-shm");
}

function later(folders: readonly Folder[], end: number, apply: () => void): void {
  const change = { end, apply, is_applied: false };
  for (const folder of folders) folder.pending.push(change);
}

/** Applies the changes that had ended when a sync began. */
function applyBefore(pending: Change[], start: number): void {
  const left = pending.filter((change) => change.end >= start);
  for (const change of pending) if (change.end < start) applyOnce(change);
  pending.splice(0, pending.length, ...left);
}

function applyOnce(change: Change): void {
  if (!change.is_applied) change.apply();
  change.is_applied = true;
}

/** Keeps a prefix of a folder's changes, as a journal does, and any of the writes to a file. */
function keepSome(folder: Folder, draw: Draw): void {
  const kept = Math.floor(draw() * (folder.pending.length + 1));
  for (const change of folder.pending.slice(0, kept)) applyOnce(change);
  for (const node of new Set(folder.durable.values())) {
    if (node instanceof Folder) keepSome(node, draw);
    else for (const change of node.pending) if (draw() >= 0.5) applyOnce(change);
  }
}

function writeFolder(folder: Folder, path: string): void {
  mkdirSync(path, { recursive: true });
  for (const [name, node] of folder.durable) {
    if (node instanceof Folder) writeFolder(node, join(path, name));
    else if (!isShared(name)) writeFileSync(join(path, name), node.durable.bytes());
  }
}

function filesIn(
  folder: Folder,
  path: string,
  entriesOf: (folder: Folder) => Map<string, File | Folder>,
  contentOf: (file: File) => Buffer,
): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const [name, node] of entriesOf(folder)) {
    if (node instanceof File) {
      if (!isShared(name)) found.set(join(path, name), contentOf(node));
    } else
      for (const [below, content] of filesIn(node, join(path, name), entriesOf, contentOf)) found.set(below, content);
  }
  return found;
}
