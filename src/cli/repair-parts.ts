import { resolve } from "node:path";
import type { BackupFolder } from "../repair/backup-files.ts";
import { locationOfPath } from "../storage/file/location.ts";
import { FileStorage } from "../storage/file/storage.ts";
import { s3SettingsFrom, type S3Settings } from "../storage/s3/settings.ts";
import { S3Storage } from "../storage/s3/storage.ts";
import type { Storage } from "../storage/storage.ts";
import { environmentIn } from "./context.ts";

/** Where table files lie. Throws S3_CREDENTIALS_MISSING. */
export function storageOf(location: string, data_folder: string): { storage: Storage; s3: S3Settings | null } {
  if (!/^s3a?:/.test(location)) return { storage: new FileStorage(), s3: null };
  const s3 = s3SettingsFrom(environmentIn(data_folder));
  return { storage: new S3Storage(s3), s3 };
}

/** A backup's folder, as it was typed. */
export function folderOfBackup(typed: string, data_folder: string): BackupFolder {
  const { storage, s3 } = storageOf(typed, data_folder);
  return { storage, root: s3 === null ? locationOfPath(resolve(typed)) : typed.replace(/\/+$/, "") };
}
