import { readFileSync } from "node:fs";
import { memoryOf } from "../src/services/machine/process.ts";

const SAMPLE_MS = 200;
/** Clock ticks a second, of which /proc counts CPU time. */
const TICKS = 100;

export interface Load {
  /** Seconds of CPU that the processes took, their children that ended included; NaN where the system has no /proc. */
  cpu_seconds: number;
  /** What they and their children held together, at most, without what they share, in MB (10^6 bytes). */
  memory_mb: number;
}

/** Watches processes until the caller ends it. */
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

/**
 * User and system time of each, and of those of their children that they have waited for (proc(5), fields 14 to 17).
 */
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
