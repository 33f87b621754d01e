import { existsSync } from "node:fs";
import { SqliteStore } from "../catalog/sqlite/store.ts";
import type { Lake } from "../lake/lake.ts";
import { namespacesOf, type CatalogPlan, type PlannedPointer } from "./catalog-plan.ts";
import { moveDatabaseAside, putInPlace } from "./move-aside.ts";

/**
 * Recreates the catalog's file, or corrects its pointers. `dropped` are tables without readable metadata.
 */
export async function repairCatalog(
  lake: Lake,
  plan: CatalogPlan,
  dropped: readonly PlannedPointer[],
  damaged_folder: string,
): Promise<void> {
  if (plan.damage === null) {
    await change(lake.catalog_file, plan, dropped);
    return;
  }
  // Written to a temporary file and renamed: a killed process never leaves a catalog without some of its tables.
  const made = `${lake.catalog_file}.repaired`;
  if (existsSync(made)) moveDatabaseAside(made, damaged_folder);
  await change(made, plan, []);
  moveDatabaseAside(lake.catalog_file, damaged_folder);
  putInPlace(made, lake.catalog_file);
}

async function change(file: string, plan: CatalogPlan, dropped: readonly PlannedPointer[]): Promise<void> {
  const store = new SqliteStore(file);
  try {
    for (const namespace of namespacesOf(plan)) {
      if ((await store.namespaceProperties(namespace)) === null) await store.createNamespace(namespace, {});
    }
    const moves = plan.pointers.flatMap(({ identifier, current, next }) =>
      next === null || next.location === current
        ? []
        : [{ identifier, expected: current, next: next.location, metadata: next.metadata, base: null }],
    );
    if (moves.length > 0) await store.move(moves);
    for (const { identifier } of dropped) await store.dropTable(identifier);
  } finally {
    await store.close();
  }
}
