import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { advanceMarket, openEmbeddedLake } from "./embedded-lake.ts";
import { percentile } from "./percentile.ts";

export interface IncrementFigures {
  /** Coins per page; one page is one minute. */
  coins: number;
  minutes_before: number;
  increments: number;
  p50_s: number;
  max_s: number;
}

/**
 * Measures dbt's time, in the warm worker, for one more minute of 250 coins in a lake that already has hours of them.
 */
export async function benchIncrement({
  coins = 250,
  minutes_before = 240,
  increments = 15,
} = {}): Promise<IncrementFigures> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const lake = await openEmbeddedLake(folder);
  try {
    await advanceMarket(lake, { coins, until_step: minutes_before });
    const seconds: number[] = [];
    for (let step = 1; step <= increments; step += 1)
      seconds.push(await advanceMarket(lake, { coins, until_step: minutes_before + step }));
    return { coins, minutes_before, increments, p50_s: percentile(seconds, 0.5), max_s: Math.max(...seconds) };
  } finally {
    await lake.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) console.log(JSON.stringify(await benchIncrement(), null, 2));
