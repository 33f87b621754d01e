import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pipeline } from "../../src/pipeline/definition.ts";
import { assignSources } from "../../src/cli/assign-sources.ts";

const source = { description: "", argument: null, create: async () => [] };
const having = (name: string, ...sources: string[]) =>
  ({ name, producers: Object.fromEntries(sources.map((one) => [one, source])) }) as unknown as Pipeline;
const market = having("market", "live", "binance", "kraken", "simulated", "replay");
const shop = having("shop", "simulated", "files");

test("each of several pipelines gets the last given source that it has, else its default", () => {
  const cases: [given: string[], market: string | null, shop: string | null][] = [
    [[], null, null],
    [["simulated"], "simulated", "simulated"],
    [["simulated:7"], "simulated:7", "simulated:7"],
    [["files:orders/in"], null, "files:orders/in"],
    [["binance,kraken"], "binance,kraken", null],
    [["replay:a,b:c.csv"], "replay:a,b:c.csv", null],
    [["simulated", "files:orders"], "simulated", "files:orders"],
    [["files:orders", "simulated"], "simulated", "simulated"],
    [["live", "simulated", "files:orders", "kraken"], "kraken", "files:orders"],
  ];
  for (const [given, ...expected] of cases)
    assert.deepEqual([given, ...assignSources([market, shop], given)], [given, ...expected]);
});

test("a source that no pipeline has is rejected with the sources of each pipeline", () => {
  for (const given of ["simulatd", "binance,files", "toString", ""])
    assert.throws(() => assignSources([market, shop], ["simulated", given]), {
      code: "SOURCE_NOT_FOUND",
      next_step: /of market: live, .*; of shop: simulated, files/,
    });
  assert.throws(() => assignSources([market, shop], ["package.json"]), { next_step: /--source replay:package\.json/ });
});

test("a single pipeline gets the last given source, even an unknown one", () => {
  assert.deepEqual(assignSources([market], ["simulated", "unknown"]), ["unknown"]);
  assert.deepEqual(assignSources([market], []), [null]);
});
