import { resolve } from "node:path";
import { readSetting } from "../base/settings.ts";
import type { BackupPlace } from "../backup/manifest.ts";
import { locationOfPath } from "../storage/file/location.ts";
import { FileStorage } from "../storage/file/storage.ts";
import { objectOfLocation } from "../storage/s3/location.ts";
import { s3SettingsFrom, type S3Settings } from "../storage/s3/settings.ts";
import { S3Storage } from "../storage/s3/storage.ts";
import type { Storage } from "../storage/storage.ts";
import { crashAt, noop, type StepListener } from "../base/failpoints.ts";
import { environmentIn } from "./context.ts";

export function isS3(text: string): boolean {
  return /^s3a?:/.test(text);
}

/** Limits of the DuckDB instance in which backup, restore and move rewrite files. */
export const BACKUP_ENGINE = { memory_limit_mb: 256, threads: 2 };

/** The local folder or S3 location in the option. Throws UNSUPPORTED_LOCATION, S3_CREDENTIALS_MISSING. */
export function backupPlace(typed: string, data_folder: string): BackupPlace {
  if (!isS3(typed)) return { storage: new FileStorage(), root: locationOfPath(resolve(typed)) };
  objectOfLocation(typed);
  return {
    storage: new S3Storage(s3SettingsFrom(environmentIn(data_folder))),
    root: typed.replace(/^s3a:/, "s3:").replace(/\/+$/, ""),
  };
}

/** The storage of a lake's tables, and the S3 settings with which engines access it. */
export function tableStorage(
  warehouse: string | null,
  data_folder: string,
): { storage: Storage; s3: S3Settings | null } {
  if (warehouse === null || !isS3(warehouse)) return { storage: new FileStorage(), s3: null };
  const s3 = s3SettingsFrom(environmentIn(data_folder));
  return { storage: new S3Storage(s3), s3 };
}

/** The failpoint that COINLAKE_KILL_AT names: crash tests kill the process there. */
export function stepFromEnvironment(): StepListener {
  const instruction = readSetting("COINLAKE_KILL_AT");
  return instruction ? crashAt(instruction) : noop;
}
