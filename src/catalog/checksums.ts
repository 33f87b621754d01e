/** Size and checksum of a file when a commit added it, or when `verify --deep` first read it. */
export interface FileChecksum {
  /** Canonical location, see storage/location.ts. */
  location: string;
  size_bytes: number;
  sha256: string;
  taken_by: "commit" | "verify";
}

/** Checksums by canonical location. An existing row is never changed, because files are immutable. */
export interface ChecksumStore {
  /** Adds and removes in one transaction. */
  change(change: { added?: readonly FileChecksum[]; removed?: readonly string[] }): void;
  has(location: string): boolean;
  get(location: string): FileChecksum | null;
  /** All locations, in arbitrary order. */
  locations(): string[];
  close(): void;
}
