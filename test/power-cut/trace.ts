import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** File operations of a traced process tree: system calls as printed by strace, in the order of their completion. */

/** The reason to skip a test; false if runs can be traced. */
export const skipWithoutStrace =
  process.platform !== "linux"
    ? "records system calls with strace, which only Linux has"
    : spawnSync("strace", ["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "true"]).status === 0
      ? false
      : "records system calls with strace, which is not installed or may not trace here (apt install strace)";

const CALLS = (
  "openat open creat write pwrite64 writev pwritev pwritev2 lseek ftruncate truncate fallocate " +
  "fsync fdatasync sync_file_range rename renameat"
)
  .split(" ")
  .concat(
    "renameat2 unlink unlinkat mkdir mkdirat rmdir link linkat symlink symlinkat copy_file_range sendfile".split(" "),
  );
/** strace truncates longer writes, and `readTrace` rejects them. */
const MAX_WRITE_BYTES = 32 * 1024 * 1024;

/** The command line that runs `command` and traces the file operations of its process tree. */
export function traced(
  command: readonly string[],
  record: string,
): { command: string; args: string[]; env: NodeJS.ProcessEnv } {
  const options = [
    "-f",
    "--seccomp-bpf",
    "-qq",
    "-y",
    "-xx",
    "-s",
    String(MAX_WRITE_BYTES),
    "-e",
    "signal=none",
    "-e",
    `trace=${CALLS.join(",")}`,
  ];
  // Requests to io_uring are not system calls, so strace would not see them.
  return { command: "strace", args: [...options, "-o", record, ...command], env: { UV_USE_IO_URING: "0" } };
}

/** `start` and `end` are positions in the trace; overlapping calls have overlapping positions. */
export type Operation = { start: number; end: number } & (
  | {
      kind: "open";
      path: string;
      descriptor: string;
      is_created: boolean;
      is_truncated: boolean;
      is_appending: boolean;
    }
  | { kind: "write"; path: string; descriptor: string; at: number | null; bytes: Buffer }
  | { kind: "seek"; descriptor: string; at: number }
  | { kind: "truncate"; path: string; size: number }
  | { kind: "extend"; path: string; size: number }
  | { kind: "sync"; path: string }
  | { kind: "rename"; from: string; to: string }
  | { kind: "unlink"; path: string }
  | { kind: "mkdir"; path: string }
  | { kind: "rmdir"; path: string }
);

/**
 * Operations on files in `root`, except those for which `isLeftOut` is true. Throws if the trace has a call there that
 * the disk model does not support.
 */
export function readTrace(
  record: string,
  root: string,
  isLeftOut: (path: string) => boolean = () => false,
): Operation[] {
  const isBelow = (path: string): boolean => (path === root || path.startsWith(`${root}/`)) && !isLeftOut(path);
  const under_way = new Map<string, { text: string; start: number }>();
  const operations: Operation[] = [];
  for (const [position, line] of readFileSync(record, "latin1").split("\n").entries()) {
    const space = line.indexOf(" ");
    const process_id = line.slice(0, space);
    let text = line.slice(space).trimStart();
    let start = position;
    if (text.endsWith("<unfinished ...>")) {
      under_way.set(process_id, { text: text.slice(0, -"<unfinished ...>".length), start });
      continue;
    }
    if (text.startsWith("<... ")) {
      const begun = under_way.get(process_id);
      under_way.delete(process_id);
      if (begun === undefined) continue;
      text = begun.text + text.slice(text.indexOf(" resumed>") + " resumed>".length);
      start = begun.start;
    }
    const operation = operationOf(text, isBelow);
    if (operation !== null) operations.push({ ...operation, start, end: position });
  }
  return operations;
}

type Unplaced<T> = T extends unknown ? Omit<T, "start" | "end"> : never;

function operationOf(text: string, isBelow: (path: string) => boolean): Unplaced<Operation> | null {
  const name = text.slice(0, text.indexOf("("));
  const answer = text.lastIndexOf(" = ");
  const result = Number.parseInt(text.slice(answer + 3), 10);
  if (!CALLS.includes(name) || !(result >= 0)) return null;
  const args = text.slice(name.length + 1, answer);
  const returned = text.slice(answer);
  if (name === "openat" || name === "open" || name === "creat") return openOf(name, args, returned, isBelow);
  const strings = stringsIn(args);
  if (["rename", "renameat", "renameat2"].includes(name)) {
    const [from = "", to = ""] = strings;
    if (!isBelow(from) && !isBelow(to)) return null;
    if (!isBelow(from) || !isBelow(to))
      throw new Error(`A rename from ${from} to ${to} crosses the border of the modelled disk`);
    return { kind: "rename", from, to };
  }
  if (["unlink", "mkdir", "rmdir", "unlinkat", "mkdirat", "truncate"].includes(name)) {
    const path = pathOf(args, strings[0] ?? "");
    if (!isBelow(path)) return null;
    if (name === "truncate") return { kind: "truncate", path, size: Number(args.slice(args.lastIndexOf(",") + 1, -1)) };
    if (name.startsWith("mkdir")) return { kind: "mkdir", path };
    return { kind: name === "rmdir" || args.includes("AT_REMOVEDIR") ? "rmdir" : "unlink", path };
  }
  const descriptor = /^(\d+)<([^>]*)>(\(deleted\))?/.exec(args.slice(0, 4096));
  const path = descriptor === null ? undefined : textOf(descriptor[2] ?? "");
  if (path === undefined || !isBelow(path)) {
    // A copy out of the modelled disk has no effect on it; a copy into it would need its content.
    if (name === "sendfile") return null;
    if ([...strings.slice(0, 2), ...pathsIn(args)].some(isBelow))
      throw new Error(`The model of the disk does not know ${name} of ${path}`);
    return null;
  }
  if (descriptor?.[3] !== undefined) return null;
  const key = `${descriptor?.[1]} ${path}`;
  const numbers =
    args
      .slice(args.lastIndexOf('"') + 1)
      .match(/\d+/g)
      ?.map(Number) ?? [];
  if (name === "fsync" || name === "fdatasync") return { kind: "sync", path };
  if (name === "lseek") return { kind: "seek", descriptor: key, at: result };
  if (name === "ftruncate") return { kind: "truncate", path, size: Number(/, (\d+)\)$/.exec(args)?.[1]) };
  if (name === "fallocate") {
    const [, mode, offset, length] = /, (\w+), (\d+), (\d+)\)$/.exec(args) ?? [];
    if (mode !== "0") throw new Error(`The model of the disk does not know fallocate with ${mode}`);
    return { kind: "extend", path, size: Number(offset) + Number(length) };
  }
  if (name === "write" || name === "pwrite64" || name === "writev" || name === "pwritev") {
    if (args.slice(args.lastIndexOf('"')).startsWith('"...'))
      throw new Error(`A write to ${path} is longer than ${MAX_WRITE_BYTES} bytes`);
    const bytes = Buffer.concat(dataIn(args)).subarray(0, result);
    if (bytes.length !== result)
      throw new Error(`A write of ${result} bytes to ${path} was recorded with ${bytes.length}`);
    const is_at = name.startsWith("p");
    return { kind: "write", path, descriptor: key, at: is_at ? (numbers.at(-1) ?? 0) : null, bytes };
  }
  throw new Error(`The model of the disk does not know ${name} of ${path}`);
}

function openOf(
  name: string,
  args: string,
  returned: string,
  isBelow: (path: string) => boolean,
): Unplaced<Operation> | null {
  const [, number = "", place = ""] = /^ = (\d+)<([^>]*)>/.exec(returned) ?? [];
  const path = textOf(place);
  if (!isBelow(path)) return null;
  const has = (flag: string): boolean => args.slice(args.lastIndexOf('"')).includes(flag);
  const is_created = name === "creat" || has("O_CREAT");
  return {
    kind: "open",
    path,
    descriptor: `${number} ${path}`,
    is_created,
    is_truncated: name === "creat" || has("O_TRUNC"),
    is_appending: has("O_APPEND"),
  };
}

function textOf(hex: string): string {
  return Buffer.from(hex.replaceAll("\\x", ""), "hex").toString();
}

/** The quoted arguments, as bytes. Text inside quotes is hexadecimal, so it contains no quote. */
function dataIn(args: string): Buffer[] {
  return args
    .split('"')
    .flatMap((part, index) => (index % 2 === 1 ? [Buffer.from(part.replaceAll("\\x", ""), "hex")] : []));
}

function stringsIn(args: string): string[] {
  return args.length > 16_384 ? [] : dataIn(args).map(String);
}

/** Paths of the descriptors. */
function pathsIn(args: string): string[] {
  return args.length > 16_384 ? [] : Array.from(args.matchAll(/\d+<([^>]*)>/g), (match) => textOf(match[1] ?? ""));
}

/** A relative path is resolved against the descriptor before it. */
function pathOf(args: string, path: string): string {
  if (path.startsWith("/")) return path;
  const folder = /^(?:\d+|AT_FDCWD)<([^>]*)>/.exec(args)?.[1];
  return folder === undefined ? path : `${textOf(folder)}/${path}`;
}
