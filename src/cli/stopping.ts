import type { Output } from "./output.ts";

/** Exit code of what was told to end before it had ended by itself, as shells have it for Ctrl-C. */
export const INTERRUPTED = 130;

/**
 * The first Ctrl-C asks for a clean stop, the second ends the process at once. With a limit, so does the clean stop when it takes
 * longer: a disk or a server that does not answer keeps nobody waiting. What is durable by then is what counts.
 */
export function stopOnSignals(
  output: Output,
  { limit_ms = null }: { limit_ms?: number | null } = {},
): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    output.say("\nStopping: finishing what is under way. Ctrl-C again ends at once.");
    controller.abort();
    // It outlives `dispose`, because closing files and servers may hang too, and keeps nothing alive.
    if (limit_ms !== null) setTimeout(() => endNow(output, limit_ms), limit_ms).unref();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return {
    signal: controller.signal,
    dispose() {
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
    },
  };
}

function endNow(output: Output, limit_ms: number): void {
  const waited = `Not everything had ended after ${limit_ms / 1000} s, and was cut off.`;
  output.warn(`${waited} Everything acknowledged is on disk; the next start goes on from there.`);
  process.exit(INTERRUPTED);
}
