import type { Output } from "./output.ts";

/** Exit code of what was told to end before it had ended by itself, as shells have it for Ctrl-C. */
export const INTERRUPTED = 130;

/** The first Ctrl-C asks for a clean stop, the second ends the process at once. */
export function stopOnSignals(output: Output): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    output.say("\nStopping: finishing what is under way. Ctrl-C again ends at once.");
    controller.abort();
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
