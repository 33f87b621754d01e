import { randomUUID } from "node:crypto";
import { addLongs } from "./long.ts";
import type { LoadedTable, PartitionSpec, Schema, Snapshot } from "./model.ts";
import type { Clock } from "../base/clock.ts";
import type { Storage } from "../storage/storage.ts";
import { decodeManifest, encodeManifest } from "./manifest.ts";
import { decodeManifestList, encodeManifestList } from "./manifest-list.ts";
import { MANIFEST_CONTENT, STATUS, type DataFile, type ManifestEntry, type ManifestFile } from "./manifest-model.ts";
import { chooseMerge, keepLive } from "./merge.ts";
import {
  changeOf,
  currentSnapshot,
  describeManifest,
  newSnapshotId,
  snapshotOn,
  writeAll,
  writingKind,
  type StagedSnapshot,
} from "./stage.ts";
import { appendSummary } from "./summary.ts";

export interface AppendStager {
  /**
   * Writes manifest, manifest list and snapshot for data files that are already durable and follow the table's default
   * spec (format version 2). The change includes the property updates. Throws UNSUPPORTED_FORMAT, UNSUPPORTED_SPEC and
   * the errors of the storage; then no file remains.
   */
  stage(
    table: LoadedTable,
    files: readonly DataFile[],
    properties?: Readonly<Record<string, string>>,
  ): Promise<StagedSnapshot>;
}

export function createAppendStager({ storage, clock }: { storage: Storage; clock: Clock }): AppendStager {
  /** The last written list. The next commit starts from it, unless another writer has committed in between. */
  let known: { location: string; manifests: ManifestFile[] } | null = null;

  async function manifestsOf(snapshot: Snapshot | null): Promise<ManifestFile[]> {
    if (snapshot === null) return [];
    const location = snapshot["manifest-list"];
    if (known?.location !== location) known = { location, manifests: decodeManifestList(await storage.read(location)) };
    return known.manifests;
  }

  return {
    async stage(table, files, properties = {}) {
      const { metadata } = table;
      const { spec, schema } = writingKind(metadata);
      const parent = currentSnapshot(metadata);
      const snapshot_id = newSnapshotId(metadata);
      const sequence_number = addLongs(metadata["last-sequence-number"], 1);
      const previous = await manifestsOf(parent);
      const merged = chooseMerge(previous, spec["spec-id"] ?? 0);
      const added = files.map((data_file): ManifestEntry => ({
        status: STATUS.added,
        snapshot_id,
        sequence_number: null,
        file_sequence_number: null,
        data_file,
      }));
      const entries = [...added, ...(await liveEntries(storage, merged, schema, spec))];
      const manifest_bytes = encodeManifest({ schema, spec, content: MANIFEST_CONTENT.data }, entries);
      const manifest = describeManifest({
        path: `${metadata.location}/metadata/${randomUUID()}-m0.avro`,
        length: manifest_bytes.length,
        entries,
        content: MANIFEST_CONTENT.data,
        spec,
        schema,
        snapshot_id,
        sequence_number,
      });
      const manifests = [manifest, ...previous.filter((other) => !merged.includes(other))];
      const location = `${metadata.location}/metadata/snap-${snapshot_id}-1-${randomUUID()}.avro`;
      const snapshot = snapshotOn(metadata, {
        snapshot_id,
        sequence_number,
        manifest_list: location,
        summary: appendSummary(parent, files),
        clock,
      });
      const written = [manifest.manifest_path, location];
      await writeAll(storage, metadata.location, [
        [manifest.manifest_path, manifest_bytes],
        [location, encodeManifestList(snapshot, manifests)],
      ]);
      known = { location, manifests };
      return { snapshot_id, change: changeOf(table, parent, snapshot, properties), written };
    },
  };
}

async function liveEntries(
  storage: Storage,
  manifests: readonly ManifestFile[],
  schema: Schema,
  spec: PartitionSpec,
): Promise<ManifestEntry[]> {
  const decoded = await Promise.all(
    manifests.map(async (manifest) =>
      decodeManifest(await storage.read(manifest.manifest_path), manifest, { schema, spec }),
    ),
  );
  return decoded.flatMap(keepLive);
}
