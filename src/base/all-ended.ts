/**
 * Waits until all promises have ended, successful or not, and then throws the first one's error that failed, in their
 * order. `Promise.all` throws at once, while the others still run.
 */
export async function allEnded(promises: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(promises);
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
