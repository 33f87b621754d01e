import { existsSync, readFileSync, readdirSync, readlinkSync } from "node:fs";

/** Linux's process file system. Every fact in this module comes from it, so no tool has to be installed. */
const PROC = "/proc";
/**
 * Indexes of the fields of /proc/PID/stat after the name in parentheses. The name itself may contain spaces and
 * parentheses.
 */
const STARTED_AT_FIELD = 19;
const PARENT_FIELD = 1;
const STATE_FIELD = 0;

/** A process, identified by its id and start time, because the system reuses ids. */
export interface ProcessIdentity {
  pid: number;
  /** Start time in clock ticks since the machine's start. */
  started_at_ticks: number;
}

function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`${PROC}/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    // The process has ended.
    return null;
  }
}

/** Null where no such process exists, or where it has ended and is a zombie. */
export function identify(pid: number): ProcessIdentity | null {
  const fields = statOf(pid);
  if (fields === null || fields[STATE_FIELD] === "Z") return null;
  return { pid, started_at_ticks: Number(fields[STARTED_AT_FIELD]) };
}

export function isRunning({ pid, started_at_ticks }: ProcessIdentity): boolean {
  return identify(pid)?.started_at_ticks === started_at_ticks;
}

/** Memory of the process and its descendants in bytes. */
export function memoryOf(pid: number): number {
  const status = readText(`${PROC}/${pid}/status`);
  // Only anonymous memory counts: every PostgreSQL process maps the same shared buffers.
  const own_kb = Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  return own_kb * 1024 + childrenOf(pid).reduce((sum, child) => sum + memoryOf(child), 0);
}

export function childrenOf(pid: number): number[] {
  return readText(`${PROC}/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
}

/** Whether a process is `ancestor` or a descendant of it. */
export function isWithin(pid: number, ancestor: number): boolean {
  for (let current = pid; current > 0; current = Number(statOf(current)?.[PARENT_FIELD] ?? 0))
    if (current === ancestor) return true;
  return false;
}

/**
 * `process 123 (java, in /srv/kafka)`: enough for a person to recognise it. Only root can read the working folder of
 * another user's process.
 */
export function describeProcess(pid: number): string {
  const folder = linkOf(`${PROC}/${pid}/cwd`);
  return `process ${pid} (${readText(`${PROC}/${pid}/comm`).trim()}${folder ? `, in ${folder}` : ""})`;
}

/** Empty where the process has ended or belongs to another user. */
function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** The processes that hold one of these sockets, given by inode. Only root can see those of other users. */
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
    // The process has ended, or belongs to another user.
    return false;
  }
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    // The file descriptor was closed after it was listed, or belongs to another user.
    return "";
  }
}

export function hasProc(): boolean {
  return existsSync(`${PROC}/self/stat`);
}
