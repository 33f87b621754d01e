import { badRequest } from "../errors.ts";
import { maxLong } from "../long.ts";
import type { TableMetadata, Update } from "../model.ts";
import { integerIn, objectIn, stringIn, stringMapIn, stringsIn, type JsonObject } from "../shape.ts";
import { change, startDraft, type Draft } from "./draft.ts";
import { checkEvolution } from "./evolution.ts";
import {
  addSchema,
  addSortOrder,
  addSpec,
  checkDefaultsFitSchema,
  removeSchemas,
  removeSpecs,
  setCurrentSchema,
  setDefaultSortOrder,
  setDefaultSpec,
} from "./layout.ts";
import { joinSnapshots } from "./join.ts";
import {
  addSnapshot,
  removeSnapshotRef,
  removeSnapshots,
  removeStatistics,
  setSnapshotRef,
  setStatistics,
  settleSnapshotLog,
} from "./snapshots.ts";

/** The newest supported format version; v3 adds row lineage, deletion vectors, default values and new types. */
export const NEWEST_FORMAT_VERSION = 3;

type Apply = (draft: Draft, update: JsonObject) => void;

/** Every table update of the REST spec (schema TableUpdate). */
const UPDATES = new Map<string, Apply>([
  ["assign-uuid", assignUuid],
  ["upgrade-format-version", upgradeFormatVersion],
  ["add-schema", addSchema],
  ["set-current-schema", setCurrentSchema],
  ["remove-schemas", removeSchemas],
  ["add-spec", addSpec],
  ["set-default-spec", setDefaultSpec],
  ["remove-partition-specs", removeSpecs],
  ["add-sort-order", addSortOrder],
  ["set-default-sort-order", setDefaultSortOrder],
  ["add-snapshot", addSnapshot],
  ["set-snapshot-ref", setSnapshotRef],
  ["remove-snapshot-ref", removeSnapshotRef],
  ["remove-snapshots", removeSnapshots],
  ["set-statistics", (draft, update) => setStatistics(draft, update, "statistics")],
  ["remove-statistics", (draft, update) => removeStatistics(draft, update, "statistics")],
  ["set-partition-statistics", (draft, update) => setStatistics(draft, update, "partition-statistics")],
  ["remove-partition-statistics", (draft, update) => removeStatistics(draft, update, "partition-statistics")],
  ["set-location", setLocation],
  ["set-properties", setProperties],
  ["remove-properties", removeProperties],
  ["add-encryption-key", addEncryptionKey],
  ["remove-encryption-key", removeEncryptionKey],
]);

/**
 * The metadata after `updates`, applied in order. Does not change `base`, and returns it if nothing changed. Throws
 * INVALID_REQUEST for invalid updates, COMMIT_CONFLICT for outdated ones.
 */
export function applyUpdates(base: TableMetadata, updates: readonly Update[], now_ms: number): TableMetadata {
  const draft = startDraft(base, now_ms);
  for (const update of updates) {
    const apply = UPDATES.get(update.action);
    if (apply === undefined) throw badRequest(`Unknown table update: ${String(update.action)}`);
    apply(draft, update);
  }
  if (!draft.is_changed) return base;
  joinSnapshots(draft);
  settleSnapshotLog(draft);
  const { metadata } = draft;
  checkDefaultsFitSchema(metadata);
  checkEvolution(base, metadata, updates);
  const newest_entry_ms = metadata["snapshot-log"].at(-1)?.["timestamp-ms"] ?? 0;
  metadata["last-updated-ms"] = maxLong(maxLong(base["last-updated-ms"], now_ms), newest_entry_ms);
  return metadata;
}

function assignUuid(draft: Draft, update: JsonObject): void {
  const uuid = stringIn(update, "uuid");
  if (uuid !== draft.metadata["table-uuid"]) change(draft, { "table-uuid": uuid });
}

function upgradeFormatVersion(draft: Draft, update: JsonObject): void {
  const wanted = integerIn(update, "format-version");
  const current = draft.metadata["format-version"];
  if (wanted > NEWEST_FORMAT_VERSION)
    throw badRequest(
      `Cannot upgrade table to unsupported format version: v${wanted} (supported: v${NEWEST_FORMAT_VERSION})`,
    );
  if (wanted < current) throw badRequest(`Cannot downgrade v${current} table to v${wanted}`);
  if (wanted === current) return;
  change(draft, { "format-version": wanted });
  if (wanted >= 3 && draft.metadata["next-row-id"] === undefined) change(draft, { "next-row-id": 0 });
}

function setLocation(draft: Draft, update: JsonObject): void {
  const location = stringIn(update, "location").replace(/\/+$/, "");
  if (location !== draft.metadata.location) change(draft, { location });
}

function setProperties(draft: Draft, update: JsonObject): void {
  const updates = stringMapIn(update, "updates");
  if (Object.keys(updates).length > 0) change(draft, { properties: { ...draft.metadata.properties, ...updates } });
}

function removeProperties(draft: Draft, update: JsonObject): void {
  const removals = new Set(stringsIn(update, "removals"));
  if (removals.size === 0) return;
  const kept = Object.entries(draft.metadata.properties).filter(([name]) => !removals.has(name));
  change(draft, { properties: Object.fromEntries(kept) });
}

function encryptionKeysOf(draft: Draft): JsonObject[] {
  return (draft.metadata["encryption-keys"] ?? []) as JsonObject[];
}

function addEncryptionKey(draft: Draft, update: JsonObject): void {
  const key = objectIn(update, "encryption-key");
  const key_id = stringIn(key, "key-id");
  stringIn(key, "encrypted-key-metadata");
  if (encryptionKeysOf(draft).some((existing) => existing["key-id"] === key_id)) return;
  change(draft, { "encryption-keys": [...encryptionKeysOf(draft), key] });
}

function removeEncryptionKey(draft: Draft, update: JsonObject): void {
  const key_id = stringIn(update, "key-id");
  const kept = encryptionKeysOf(draft).filter((key) => key["key-id"] !== key_id);
  if (kept.length < encryptionKeysOf(draft).length) change(draft, { "encryption-keys": kept });
}
