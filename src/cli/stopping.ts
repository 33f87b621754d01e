import type { Output } from "./output.ts";

/** Exit code after SIGINT (128 + 2). */
export const INTERRUPTED = 130;

/**
 * The first Ctrl-C requests a clean stop, the second exits at once. With a limit, the process also exits when the clean
 * stop takes longer, for example because a disk or a server does not answer. Acknowledged records are durable either
 * way.
 */
export function stopOnSignals(
  output: Output,
  { limit_ms = null }: { limit_ms?: number | null } = {},
): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    output.say("\nStopping: finishing work in progress. Press Ctrl-C again to exit at once.");
    controller.abort();
    // The timer outlives `dispose`, because closing files and servers may hang too; unref lets the process exit.
    if (limit_ms !== null) setTimeout(() => exitNow(output, limit_ms), limit_ms).unref();
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

function exitNow(output: Output, limit_ms: number): void {
  const reason = `The clean stop did not finish within ${limit_ms / 1000} s; exiting now.`;
  output.warn(`${reason} Everything acknowledged is on disk; the next start continues from there.`);
  process.exit(INTERRUPTED);
}
