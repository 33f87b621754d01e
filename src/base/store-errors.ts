/** The meaning of an error code for a person, a retry, a script and a client of the HTTP API. */
export interface ErrorDescription {
  /** What happened and what to do, in one sentence. */
  meaning: string;
  /** Status of the HTTP API; without one the API answers 500, and only the server's log has the details. */
  status?: number;
  /** Exit code of a command that fails with this error; 1 without one. `usage-errors.ts` declares those of 2. */
  exit_code?: number;
  /** Whether a retry without a change can succeed. An error may override it where this depends on the cause. */
  is_retryable?: boolean;
}

/** SQLite files with codes of their own. */
export type StorePrefix = "CATALOG" | "LOG" | "ALERTS" | "MAINTENANCE" | "LEDGER";

export type StoreFailure =
  | "LOCKED"
  | "DISK_FULL"
  | "READ_ONLY"
  | "CORRUPT"
  | "CANNOT_OPEN"
  | "IO_FAILED"
  | "FAILED"
  | "FORMAT_UNKNOWN"
  | "FORMAT_OUTDATED";

/** The codes that each SQLite file has: the prefix with each kind of failure. */
export function storeErrors<P extends StorePrefix>(
  prefix: P,
  name: string,
): Record<`${P}_${StoreFailure}`, ErrorDescription> {
  const descriptions: Record<StoreFailure, ErrorDescription> = {
    LOCKED: { is_retryable: true, meaning: `Another program has locked ${name}; stop it, then try again.` },
    DISK_FULL: { is_retryable: true, meaning: `The disk of ${name} is full; free space. Earlier commits are kept.` },
    READ_ONLY: { meaning: `This user may not write ${name}; give write access to the data folder.` },
    CORRUPT: { meaning: `The file of ${name} is damaged; restore it from a copy.` },
    CANNOT_OPEN: {
      meaning: `The file of ${name} cannot be opened; check that the data folder exists and is writable.`,
    },
    IO_FAILED: { meaning: `The disk failed under ${name}; check the disk, then run \`verify\`.` },
    FAILED: { meaning: `SQLite or its thread failed on ${name}; start again, then run \`verify\`.` },
    FORMAT_UNKNOWN: {
      meaning: `The file of ${name} was written by a newer version or another program; use the version that wrote it.`,
    },
    FORMAT_OUTDATED: {
      meaning: `The file of ${name} was written by an older version; start the pipeline once, which upgrades it.`,
    },
  };
  return Object.fromEntries(
    Object.entries(descriptions).map(([failure, description]) => [`${prefix}_${failure}`, description]),
  ) as Record<`${P}_${StoreFailure}`, ErrorDescription>;
}
