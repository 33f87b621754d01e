import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MakeDurable } from "../src/catalog/durable.ts";
import type { TableCatalog } from "../src/iceberg/model.ts";
import { advanceMarket, openEmbeddedLake } from "./embedded-lake.ts";
import { percentile, rounded } from "./percentile.ts";

export interface DurableFigures {
  commits: number;
  commit_p50_ms: number;
  commit_p99_ms: number;
  ingest_commit_p50_ms: number;
  increment_p50_s: number;
  increment_max_s: number;
}

/**
 * Measures the cost of durable silver and gold: the same increments with and without the catalog's fsyncs, on separate
 * lakes.
 */
export async function benchDurable(
  size: Partial<typeof SIZE> = {},
): Promise<Record<"without" | "durable", DurableFigures>> {
  const without = await measure(async () => {}, { ...SIZE, ...size });
  return { without, durable: await measure(undefined, { ...SIZE, ...size }) };
}

const SIZE = { coins: 250, minutes_before: 240, increments: 15 };

async function measure(
  makeDurable: MakeDurable | undefined,
  { coins, minutes_before, increments }: typeof SIZE,
): Promise<DurableFigures> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const ingest_ms: number[] = [];
  const lake = await openEmbeddedLake(folder, {
    makeDurable,
    committed: ({ duration_ms }) => void ingest_ms.push(duration_ms),
  });
  try {
    const commit_ms = timeCommits(lake.catalog);
    await advanceMarket(lake, { coins, until_step: minutes_before });
    commit_ms.length = 0;
    ingest_ms.length = 0;
    const seconds: number[] = [];
    for (let step = 1; step <= increments; step += 1)
      seconds.push(await advanceMarket(lake, { coins, until_step: minutes_before + step }));
    return {
      commits: commit_ms.length,
      commit_p50_ms: rounded(percentile(commit_ms, 0.5)),
      commit_p99_ms: rounded(percentile(commit_ms, 0.99)),
      ingest_commit_p50_ms: rounded(percentile(ingest_ms, 0.5)),
      increment_p50_s: rounded(percentile(seconds, 0.5)),
      increment_max_s: rounded(Math.max(...seconds)),
    };
  } finally {
    await lake.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Wraps the catalog's commit. Each commit adds its milliseconds to the returned list. */
function timeCommits(catalog: Pick<TableCatalog, "commit">): number[] {
  const durations_ms: number[] = [];
  const commit = catalog.commit.bind(catalog);
  catalog.commit = async (changes) => {
    const started_ms = performance.now();
    const loaded = await commit(changes);
    durations_ms.push(performance.now() - started_ms);
    return loaded;
  };
  return durations_ms;
}

if (import.meta.main) console.log(JSON.stringify(await benchDurable(), null, 2));
