import { badRequest } from "../errors.ts";
import type { Long, PartitionSpec, Schema, Snapshot, TableMetadata } from "../model.ts";
import { isSameLong } from "../long.ts";

/**
 * Metadata during the updates of one commit. `metadata` is a shallow copy: an update replaces its properties and never
 * changes the values, which the base and other readers share.
 */
export interface Draft {
  metadata: TableMetadata;
  readonly now_ms: number;
  is_changed: boolean;
  /** The ids that -1 refers to in later updates of the same commit. */
  last_added: { schema_id: number | null; spec_id: number | null; order_id: number | null };
  added_snapshot_ids: Long[];
  /** Snapshots of this commit that became `main`; only the last one is ever visible to readers. */
  main_snapshot_ids: Long[];
  has_removed_snapshots: boolean;
}

export interface SortOrder {
  "order-id": number;
  fields: { transform: string; "source-id": number; direction: string; "null-order": string }[];
}

/** The id by which updates refer to the object that the same commit added last. */
export const LAST_ADDED = -1;

export function startDraft(base: TableMetadata, now_ms: number): Draft {
  return {
    metadata: { ...base },
    now_ms,
    is_changed: false,
    last_added: { schema_id: null, spec_id: null, order_id: null },
    added_snapshot_ids: [],
    main_snapshot_ids: [],
    has_removed_snapshots: false,
  };
}

export function change(draft: Draft, properties: Partial<TableMetadata>): void {
  Object.assign(draft.metadata, properties);
  draft.is_changed = true;
}

/** Resolves -1. Throws INVALID_REQUEST if the commit has added nothing. */
export function resolveId(id: number, last_added: number | null, what: string): number {
  if (id !== LAST_ADDED) return id;
  if (last_added === null) throw badRequest(`Cannot set last added ${what}: no ${what} has been added`);
  return last_added;
}

export function schemaOf(metadata: TableMetadata, schema_id: number): Schema | undefined {
  return metadata.schemas.find((schema) => (schema["schema-id"] ?? 0) === schema_id);
}

export function specOf(metadata: TableMetadata, spec_id: number): PartitionSpec | undefined {
  return metadata["partition-specs"].find((spec) => (spec["spec-id"] ?? 0) === spec_id);
}

export function sortOrdersOf(metadata: TableMetadata): SortOrder[] {
  return metadata["sort-orders"] as SortOrder[];
}

/** Searches newest first, because nearly all lookups are for the head. */
export function snapshotOf(metadata: TableMetadata, snapshot_id: Long): Snapshot | undefined {
  return metadata.snapshots.findLast((snapshot) => isSameLong(snapshot["snapshot-id"], snapshot_id));
}
