import { releaseFreeMemory } from "./instances.ts";

/** Releasing takes tens of milliseconds on a thread beside the event loop, and other threads that allocate meanwhile wait for it. */
const LOOK_MS = 1_000;
/** Releasing takes at most this share of the time: far less than one record in a hundred is to wait for it. */
const SHARE_OF_TIME = 0.002;
/** Less than this is not worth it. */
const GROWTH_BYTES = 16 * 1024 * 1024;
/** Growth by this much is released at once, whatever share of the time that takes: a backlog is being absorbed. */
const BURST_BYTES = 64 * 1024 * 1024;

/**
 * Keeps the resident memory near what is used: looks now and then whether it has grown since free memory was released last, and if so releases
 * it again. Returns how to stop. `failed` gets the error of a release; the next look tries again.
 */
export function keepMemoryReleased(failed: (error: unknown) => void): () => void {
  let least_bytes = 0;
  let is_releasing = false;
  let next_ms = -Infinity;
  const look = async (): Promise<void> => {
    const rss_bytes = process.memoryUsage.rss();
    least_bytes = Math.min(least_bytes, rss_bytes);
    const began_ms = performance.now();
    const growth_bytes = rss_bytes - least_bytes;
    if (is_releasing || growth_bytes < GROWTH_BYTES || (began_ms < next_ms && growth_bytes < BURST_BYTES)) return;
    is_releasing = true;
    try {
      await releaseFreeMemory();
      least_bytes = process.memoryUsage.rss();
    } catch (error) {
      failed(error);
    } finally {
      next_ms = began_ms + (performance.now() - began_ms) / SHARE_OF_TIME;
      is_releasing = false;
    }
  };
  const timer = setInterval(() => void look(), LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}
