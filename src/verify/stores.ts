import type { DatabaseSync } from "node:sqlite";
import { existsSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { ALERTS_FORMAT } from "../alert/sqlite/file.ts";
import { CATALOG_FORMAT } from "../catalog/sqlite/database.ts";
import { messageOf } from "../base/errors.ts";
import type { Lake } from "../lake/lake.ts";
import { LOG_FORMAT } from "../log/sqlite/file.ts";
import { MAINTENANCE_FORMAT } from "../maintain/store.ts";
import { damageIn, isStoreDamage, notedFiles, openSqliteFileToRead, type SqliteFormat } from "../base/sqlite.ts";
import { lakeFinding, REPAIR_LAKE, RESTORE_LAKE, type Finding } from "./finding.ts";

/** A SQLite file of a lake. */
interface StoreFile {
  file: string;
  /** Description of the file in messages. */
  name: string;
  format: SqliteFormat;
  next_step: string;
  /** Whether the lake requires the file. */
  is_due: boolean;
}

const BUSY_TIMEOUT_MS = 5_000;

export interface StoreOptions {
  busy_timeout_ms?: number;
}

/**
 * Checks that the lake's SQLite files exist, have a known layout, and are as long as their headers state. Reads all
 * pages of all files except the log, which may be large: `checkLogPages` reads those. In a cluster, log and catalog are
 * on servers. Creates no file. Throws where a file cannot be read for a reason other than damage, such as
 * CATALOG_LOCKED.
 */
export function checkStores(lake: Lake, { busy_timeout_ms = BUSY_TIMEOUT_MS }: StoreOptions = {}): Finding[] {
  return storesOf(lake).flatMap((store) =>
    checkStore(store, busy_timeout_ms, store.file === lake.log_file ? shortFile : damageIn),
  );
}

/** Reads every page of the log. Blocks the event loop. */
export function checkLogPages(lake: Lake): Finding[] {
  return storesOf(lake)
    .filter(({ file }) => file === lake.log_file && existsSync(file))
    .flatMap((store) => checkStore(store, BUSY_TIMEOUT_MS, damageIn));
}

function storesOf(lake: Lake): StoreFile[] {
  const noted = notedFiles(lake.folder);
  const in_folder = (name: string) => join(lake.folder, name);
  const own: StoreFile[] = [
    {
      file: in_folder("alerts.db"),
      name: "the alerts and their rules",
      format: ALERTS_FORMAT,
      next_step:
        `${RESTORE_LAKE} Without a backup, move the file away: the next start creates an empty one, ` +
        "without rules, sinks and alerts.",
      is_due: noted.includes("alerts.db"),
    },
    {
      file: in_folder("maintenance.db"),
      name: "the record of maintenance",
      format: MAINTENANCE_FORMAT,
      next_step:
        `${REPAIR_LAKE} It holds no data: the next maintenance creates another, without the history ` +
        "of earlier runs.",
      is_due: noted.includes("maintenance.db"),
    },
  ];
  if (lake.profile === "cluster") return own;
  return [
    {
      file: lake.catalog_file,
      name: "the catalog",
      format: CATALOG_FORMAT,
      next_step: `${REPAIR_LAKE} It finds the tables by their newest metadata.`,
      is_due: true,
    },
    {
      file: lake.log_file,
      name: "the log",
      format: LOG_FORMAT,
      next_step: `${REPAIR_LAKE} It lists the lost records.`,
      is_due: true,
    },
    ...own,
  ];
}

type Look = (database: DatabaseSync, file: string) => string[];

function checkStore(
  { file, name, format, next_step, is_due }: StoreFile,
  busy_timeout_ms: number,
  look: Look,
): Finding[] {
  if (!existsSync(file)) {
    if (!is_due) return [];
    return [lakeFinding("STORE_MISSING", `${basename(file)} is missing: it holds ${name}`, { file, next_step })];
  }
  const damage = damageOf(file, format, busy_timeout_ms, look);
  return damage === null
    ? []
    : [lakeFinding("STORE_DAMAGED", `${basename(file)} is damaged: ${damage}`, { file, next_step })];
}

/** Null without damage. */
function damageOf(file: string, format: SqliteFormat, busy_timeout_ms: number, look: Look): string | null {
  if (statSync(file).size === 0) return "it is empty";
  let database: DatabaseSync | undefined;
  try {
    database = openSqliteFileToRead(file, format, { busy_timeout_ms });
    const damage = look(database, file);
    return damage.length === 0 ? null : damage.join("; ");
  } catch (error) {
    if (!isStoreDamage(error)) throw error;
    return messageOf(error);
  } finally {
    database?.close();
  }
}

/** With a WAL, the file may be shorter than the database. */
function shortFile(database: DatabaseSync, file: string): string[] {
  const number = (pragma: string) => Number(Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0]);
  const expected_bytes = number("page_count") * number("page_size");
  const has_wal = existsSync(`${file}-wal`) && statSync(`${file}-wal`).size > 0;
  const size_bytes = statSync(file).size;
  return has_wal || size_bytes >= expected_bytes
    ? []
    : [`it has ${size_bytes} bytes, but its header states ${expected_bytes}`];
}
