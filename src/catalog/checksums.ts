/** A file's content as it was when a commit named it, or when `verify --deep` first saw it. */
export interface FileChecksum {
  /** Canonical, see storage/location.ts. */
  location: string;
  size_bytes: number;
  sha256: string;
  taken_by: "commit" | "verify";
}

/** Checksums by canonical location. A row that is there stays: files are immutable. */
export interface ChecksumStore {
  /** Adds and removes in one transaction. */
  change(change: { added?: readonly FileChecksum[]; removed?: readonly string[] }): void;
  has(location: string): boolean;
  get(location: string): FileChecksum | null;
  /** All locations, in no order. */
  locations(): string[];
  close(): void;
}
