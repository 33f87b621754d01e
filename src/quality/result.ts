import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Lake } from "../lake/lake.ts";
import { makeFolder } from "../base/folder.ts";

/** Result of one expectation on one batch. */
export interface ExpectationResult {
  /** Great Expectations' name, such as `expect_column_values_to_be_unique`. */
  type: string;
  columns: string[];
  /** Description from the suite; null if it has none. */
  description: string | null;
  /** Severity in Great Expectations' terms: critical, warning or info. */
  severity: string;
  is_met: boolean;
  /** Observed value of an expectation about the whole batch. */
  observed: string | null;
  unexpected_rows: number | null;
  /** Some of the unexpected values, as text. */
  sample: string[];
  /** Why the expectation could not be evaluated; null if it was. */
  error: string | null;
}

/** Latest result of one day of a table, or of a table without days. */
export interface BatchResult {
  /** A UTC date, `undated` or `whole`. */
  part: string;
  checked_at: string;
  rows: number;
  expectations: number;
  /** Expectations that were not met. */
  failed: ExpectationResult[];
  /**
   * Fingerprint of the batch's files and the suite: a batch that has not changed since a successful check is skipped.
   */
  digest: string;
}

/** Latest results of every table. */
export interface QualityResult {
  format: 1;
  /** Time of the last run, ISO 8601, UTC. */
  checked_at: string;
  tables: { table: string; batches: BatchResult[] }[];
}

const RESULT_FILE = "result.json";

/**
 * Folder of results: `result.json`, `results/` in Great Expectations' format, `docs/` with Data Docs.
 */
export function qualityFolder(lake: Lake): string {
  return join(lake.folder, "quality");
}

export function docsFolder(lake: Lake): string {
  return join(qualityFolder(lake), "docs");
}

/** Null before the first check, and for a file of another version, which the next check replaces. */
export function readResult(lake: Lake): QualityResult | null {
  let text: string;
  try {
    text = readFileSync(join(qualityFolder(lake), RESULT_FILE), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  const result = JSON.parse(text) as QualityResult;
  return result.format === 1 ? result : null;
}

/** Replaces the file atomically. */
export function writeResult(lake: Lake, result: QualityResult): void {
  makeFolder(qualityFolder(lake));
  const file = join(qualityFolder(lake), RESULT_FILE);
  writeFileSync(`${file}.tmp`, JSON.stringify(result));
  renameSync(`${file}.tmp`, file);
}

/** A failed expectation of severity `critical`, which makes the command exit with 1. */
export function isCritical({ severity }: ExpectationResult): boolean {
  return severity === "critical";
}

/** The suite's description, else Great Expectations' name. */
export function nameOf({ description, type, columns }: ExpectationResult): string {
  return description ?? `${type}(${columns.join(", ")})`;
}
