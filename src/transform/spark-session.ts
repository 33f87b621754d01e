/** The only Spark session that writes silver and gold: tables have one writer. */
const SESSION_ID = "b7c1f3a4-52d9-4c0e-9a57-0d6f6a1e7d55";
const USER_ID = "coinlake";

/** The address with which PySpark joins that session. */
export function remoteInSession(remote: string): string {
  return `${remote.replace(/\/$/, "")}/;session_id=${SESSION_ID};user_id=${USER_ID}`;
}

/**
 * Interrupts the statements of a dbt process that was killed. Spark would otherwise continue its statement and commit
 * it concurrently with the retry. Resolves when the statements have ended; the next run reads what they committed
 * before.
 */
export async function endLeftStatements(remote: string): Promise<number> {
  // Loaded on demand, because Spark's protocol takes 60 MB of memory.
  const { SparkSession } = await import("../spark/session.ts");
  const session = new SparkSession({ remote, session_id: SESSION_ID });
  try {
    return await session.endStatements();
  } finally {
    session.disconnect();
  }
}
