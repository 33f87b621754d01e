import { existsSync, readFileSync, readdirSync, readlinkSync } from "node:fs";

/** Where Linux shows its processes; every fact here is read from it, so no tool need be installed. */
const PROC = "/proc";
/** What /proc/PID/stat shows behind the name in brackets, which may hold spaces and brackets itself. */
const STARTED_AT_FIELD = 19;
const PARENT_FIELD = 1;
const STATE_FIELD = 0;

/** A process, told apart from a later one with the same id by the moment it started. */
export interface ProcessIdentity {
  pid: number;
  /** Clock ticks after the machine's start. */
  started_at_ticks: number;
}

function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`${PROC}/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    // It has ended.
    return null;
  }
}

/** Null where there is no such process, or it has ended and only waits to be collected. */
export function identify(pid: number): ProcessIdentity | null {
  const fields = statOf(pid);
  if (fields === null || fields[STATE_FIELD] === "Z") return null;
  return { pid, started_at_ticks: Number(fields[STARTED_AT_FIELD]) };
}

export function isRunning({ pid, started_at_ticks }: ProcessIdentity): boolean {
  return identify(pid)?.started_at_ticks === started_at_ticks;
}

/** Memory that the process and its children hold, in bytes. */
export function memoryOf(pid: number): number {
  const status = readText(`${PROC}/${pid}/status`);
  // What is shared counts once: every PostgreSQL process maps the same buffers.
  const own_kb = Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  return own_kb * 1024 + childrenOf(pid).reduce((sum, child) => sum + memoryOf(child), 0);
}

export function childrenOf(pid: number): number[] {
  return readText(`${PROC}/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
}

/** Whether a process is that one, or was started by it or by one that it started. */
export function isWithin(pid: number, ancestor: number): boolean {
  for (let current = pid; current > 0; current = Number(statOf(current)?.[PARENT_FIELD] ?? 0))
    if (current === ancestor) return true;
  return false;
}

/**
 * `process 123 (java, in /srv/kafka)`: what a person needs to recognise it. The folder of another user's shows only to
 * root.
 */
export function describeProcess(pid: number): string {
  const folder = linkOf(`${PROC}/${pid}/cwd`);
  return `process ${pid} (${readText(`${PROC}/${pid}/comm`).trim()}${folder ? `, in ${folder}` : ""})`;
}

/** Empty where the process has ended or belongs to somebody else. */
function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** The processes that hold one of these sockets, named by inode; those of other users show only to root. */
export function holdersOf(inodes: ReadonlySet<string>): number[] {
  return readdirSync(PROC)
    .filter((name) => /^\d+$/.test(name) && holdsOne(name, inodes))
    .map(Number);
}

function holdsOne(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`${PROC}/${pid}/fd`).some((name) =>
      inodes.has(/^socket:\[(\d+)\]$/.exec(linkOf(`${PROC}/${pid}/fd/${name}`))?.[1] ?? ""),
    );
  } catch {
    // Ended, or somebody else's.
    return false;
  }
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    // Gone since it was listed, or somebody else's.
    return "";
  }
}

export function hasProc(): boolean {
  return existsSync(`${PROC}/self/stat`);
}
