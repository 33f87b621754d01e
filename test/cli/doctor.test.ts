import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { examine } from "../../src/cli/doctor.ts";
import { describeSize, measureLake, overBudget } from "../../src/cli/lake-budget.ts";
import { Lakes, type TestLake } from "../dbt/lake.ts";
import { marketStream } from "../dbt/stream.ts";

describe("doctor and the size of lakes", () => {
  let lakes: Lakes;
  let lake: TestLake;

  before(async () => {
    lakes = await Lakes.open();
    lake = await lakes.fresh();
    await lake.append((await marketStream(3)).slice(0, 50));
    await lake.ingest();
  });
  after(() => lakes.close());

  const findings = (...ports: Parameters<typeof examine>[1]) =>
    examine(lake.data_folder, ports, [
      {
        subject: "a key",
        variables: ["COINLAKE_TEST_NO_SUCH_KEY"],
        when_missing: "slower without",
        remedy: "Get one.",
      },
    ]);

  test("shows a lake within its budget with its size, and an unset setting without a warning", async () => {
    const found = await findings();
    const own = found.find(({ subject }) => subject === `lake ${lake.open.lake.name}`);
    assert.equal(own?.state, "ok");
    const live_size = /for .* MB of live data \(amplification [\d.]+\), \d+ snapshots$/;
    assert.match(
      own?.detail ?? "",
      new RegExp(`^\\d+ of at most 6,000 files, .* MB of at most .* MB on disk ${live_size.source}`),
    );
    assert.equal(found.find(({ subject }) => subject === "a key")?.state, "optional");
  });

  test("warns of a port that another program holds, and not of one where Coinlake answers", async () => {
    const server = createServer((request, response) =>
      response.writeHead(request.url === "/healthz" ? 200 : 404).end(),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const number = typeof address === "object" && address !== null ? address.port : 0;
    try {
      const port = { name: "page", number, option: "--port" };
      const found = await findings({ ...port, path: "/healthz" }, { ...port, path: "/elsewhere" });
      assert.deepEqual(
        found.filter(({ subject }) => subject.startsWith("port ")).map(({ state }) => state),
        ["ok", "warning"],
      );
    } finally {
      server.close();
    }
  });

  test("names the command that repairs a lake with too many files, within two seconds", async () => {
    const folder = join(lake.open.lake.folder, "warehouse", "bronze", "crowded");
    for (let part = 0; part < 10; part += 1) {
      mkdirSync(join(folder, String(part)), { recursive: true });
      for (let file = 0; file < 601; file += 1) writeFileSync(join(folder, String(part), `${file}.parquet`), "");
    }
    const started_ms = performance.now();
    const size = await measureLake(lake.open.lake);
    assert.ok(size.files > 6_000 && size.table_bytes === null, describeSize(size));
    assert.ok(performance.now() - started_ms < 2_000);
    const own = (await findings()).find(({ subject }) => subject === `lake ${lake.open.lake.name}`);
    assert.equal(own?.state, "warning");
    assert.match(own?.remedy ?? "", /coinlake -- maintain --lake /);
  });
});

test("the budget compares bytes on disk with live bytes, with an allowance for a small lake's metadata", () => {
  const MB = 1e6;
  assert.equal(overBudget({ files: 6_000, table_bytes: 60 * MB, live_bytes: 1 * MB }), null);
  assert.equal(overBudget({ files: 6_000, table_bytes: 2_000 * MB, live_bytes: 1_000 * MB }), null);
  assert.match(
    overBudget({ files: 6_000, table_bytes: 2_100 * MB, live_bytes: 1_000 * MB }) ?? "",
    /2100 MB of table files for 1000 MB of live data/,
  );
  assert.match(overBudget({ files: 6_001, table_bytes: null, live_bytes: null }) ?? "", /6,001 files/);
  assert.equal(overBudget({ files: 6_000, table_bytes: 2_100 * MB, live_bytes: null }), null);
});

test("the size of a lake is printed with its limits, as far as it was measured", () => {
  const MB = 1e6;
  assert.equal(
    describeSize({ files: 1_234, table_bytes: 150 * MB, live_bytes: 100 * MB, snapshots: 1_300 }),
    "1,234 of at most 6,000 files, 150 MB of at most 267 MB on disk for 100 MB of live data " +
      "(amplification 1.5), 1,300 snapshots",
  );
  assert.equal(
    describeSize({ files: 4, table_bytes: 0, live_bytes: 0, snapshots: 0 }),
    "4 of at most 6,000 files, 0.0 MB of at most 67 MB on disk for 0.0 MB of live data, 0 snapshots",
  );
  assert.equal(
    describeSize({ files: 99_999, table_bytes: null, live_bytes: null, snapshots: null }),
    "99,999 of at most 6,000 files",
  );
});
