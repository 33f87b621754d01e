/**
 * Calls `listener` once when the signal aborts, or at once if it already has. Returns a function that removes the
 * listener: a signal may live as long as the process, and would retain every listener.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener();
    return () => {};
  }
  const once = (): void => listener();
  signal.addEventListener("abort", once, { once: true });
  return () => signal.removeEventListener("abort", once);
}
