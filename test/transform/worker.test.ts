import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { DbtWorker } from "../../src/transform/worker.ts";
import { temporaryFolder } from "../support/coinlake.ts";

// The start itself is tested here, so Python starts as it does for users: see test/support/forked-python.ts.
process.env["COINLAKE_TEST_OWN_PYTHON"] = "1";
const folder = temporaryFolder();
after(() => folder.remove());

/** Starts dbt for a separate lake whose catalog listens at another port; resolves to dbt's files when it was ready. */
async function startFor(lake: string, port: number): Promise<string> {
  const dbt_folder = join(folder.path, lake);
  const worker = new DbtWorker({
    project: crypto.transform.project,
    engine: { kind: "embedded", catalog_url: `http://127.0.0.1:${port}`, s3: null },
    folder: dbt_folder,
  });
  await worker.start();
  await worker.close();
  return join(dbt_folder, "target");
}

test("a project that dbt parsed for one lake is reused for another lake with another catalog port", async () => {
  await startFor("one", 1);
  const target = await startFor("two", 2);
  // dbt writes this file whenever it has parsed anything.
  assert.ok(!existsSync(join(target, "partial_parse.msgpack")), readdirSync(target).join(" "));
});

test("a worker above its memory limit is replaced between commands, and commands continue", async () => {
  const worker = new DbtWorker({
    project: crypto.transform.project,
    engine: { kind: "embedded", catalog_url: "http://127.0.0.1:1", s3: null },
    folder: join(folder.path, "large"),
    renewal: { rss_bytes: 1, least_commands: 2 },
  });
  try {
    const answers: { pid: number | undefined; is_success: boolean }[] = [];
    const list = async () => {
      const { is_success } = await worker.run(["list", "--select", "stg_crypto__elements"]);
      answers.push({ pid: worker.pid, is_success });
    };
    for (let command = 0; command < 3; command += 1) await list();
    assert.deepEqual(
      answers.map(({ is_success }) => is_success),
      [true, true, true],
    );
    const [first, second, third] = answers.map(({ pid }) => pid);
    assert.equal(first, second);
    assert.notEqual(second, third);
    if (process.platform === "linux") assert.ok((worker.rss_bytes ?? 0) > 50e6, `${worker.rss_bytes} bytes`);
    assert.throws(() => process.kill(first ?? 0, 0), { code: "ESRCH" });
  } finally {
    await worker.close();
  }
});
