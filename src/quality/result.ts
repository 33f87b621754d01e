import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Lake } from "../lake/lake.ts";

/** What came of one expectation over one batch. */
export interface ExpectationResult {
  /** Great Expectations' name, such as `expect_column_values_to_be_unique`. */
  type: string;
  columns: string[];
  /** The suite's own words; null where it says nothing. */
  description: string | null;
  /** Great Expectations' word: critical, warning or info. */
  severity: string;
  is_met: boolean;
  /** A figure of the whole batch, where the expectation is about one. */
  observed: string | null;
  unexpected_rows: number | null;
  /** Some of the unexpected values, as text. */
  sample: string[];
  /** Why it could not be judged; null where it could. */
  error: string | null;
}

/** One day of a table, or a table that has no days, as it was checked last. */
export interface BatchResult {
  /** A UTC date, `undated` or `whole`. */
  part: string;
  checked_at: string;
  rows: number;
  expectations: number;
  /** Those that were not met. */
  failed: ExpectationResult[];
  /**
   * Of the files that it consists of and of the suite: what has not changed since it was good need not be checked
   * again.
   */
  digest: string;
}

/** What was checked last of every table. */
export interface QualityResult {
  format: 1;
  /** Of the last run, ISO 8601, UTC. */
  checked_at: string;
  tables: { table: string; batches: BatchResult[] }[];
}

const RESULT_FILE = "result.json";

/**
 * Where checks leave what they found: `result.json`, `results/` in Great Expectations' own form, `docs/` for people.
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

/** Either the old one or the new one, never half of it. */
export function writeResult(lake: Lake, result: QualityResult): void {
  mkdirSync(qualityFolder(lake), { recursive: true });
  const file = join(qualityFolder(lake), RESULT_FILE);
  writeFileSync(`${file}.tmp`, JSON.stringify(result));
  renameSync(`${file}.tmp`, file);
}

/** An expectation of severity `critical` that was not met: what stops whoever waits for the check. */
export function isCritical({ severity }: ExpectationResult): boolean {
  return severity === "critical";
}

/** In the words of its suite, or as Great Expectations calls it. */
export function nameOf({ description, type, columns }: ExpectationResult): string {
  return description ?? `${type}(${columns.join(", ")})`;
}
