import { readFileSync } from "node:fs";
import { memoryOf } from "../src/services/machine/process.ts";

const SAMPLE_MS = 200;
/** Clock ticks per second, the unit of CPU time in /proc. */
const TICKS = 100;

export interface Load {
  /** CPU time of the processes in seconds, including their ended children; NaN without /proc. */
  cpu_seconds: number;
  /** Peak total memory of the processes and their children, without shared pages, in MB (10^6 bytes). */
  memory_mb: number;
}

/** Watches processes until the caller stops it. */
export function watchLoad(pids: readonly number[]): () => Load {
  const before = cpuSeconds(pids);
  let peak_bytes = 0;
  const look = () => (peak_bytes = Math.max(peak_bytes, sum(pids.map(memoryOf))));
  look();
  const timer = setInterval(look, SAMPLE_MS);
  return () => {
    clearInterval(timer);
    look();
    return { cpu_seconds: cpuSeconds(pids) - before, memory_mb: peak_bytes / 1e6 };
  };
}

/** User and system time of each process and of the children that it has waited for (proc(5), fields 14 to 17). */
export function cpuSeconds(pids: readonly number[]): number {
  if (process.platform !== "linux") return NaN;
  return sum(
    pids.map(
      (pid) =>
        sum(
          (readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ").slice(11, 15) ?? []).map(Number),
        ) / TICKS,
    ),
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
