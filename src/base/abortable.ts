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

/** The result of the work, unless the signal aborts before: rejects with `aborted()` then, and the work continues. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal, aborted: () => Error): Promise<T> {
  let stopListening = (): void => {};
  try {
    return await new Promise((resolve, reject) => {
      work.then(resolve, reject);
      stopListening = onAbort(signal, () => reject(aborted()));
    });
  } finally {
    stopListening();
  }
}
