import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { systemClock } from "../../../src/base/clock.ts";
import { pythonWith } from "../../../src/lake/python.ts";
import { Servers } from "../servers.ts";

const NOTEBOOK = "streaming/notebooks/streaming_setup.ipynb";
let servers: Servers;

before(async () => {
  servers = await Servers.start("kafka", "spark");
});
after(async () => {
  await servers?.leave();
});

test("the streaming notebook runs from its first cell to its last, and its checks pass", async () => {
  const python = await pythonWith(
    { name: "notebook", title: "Jupyter and Spark's client", size_mb: 400 },
    { clock: systemClock, say: () => {} },
  );
  const child = spawn(python, [fileURLToPath(new URL("run_notebook.py", import.meta.url)), NOTEBOOK], {
    env: { ...process.env, COINLAKE_DATA: servers.data, TMPDIR: servers.data },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [printed, errors, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => child.once("close", resolve)),
  ]);
  assert.equal(code, 0, errors);
  assert.match(printed, /records appended/);
  assert.match(printed, /crypto\.prices\.raw/);
  assert.match(printed, /appended while it was stopped/);
});

test("the notebook is stored without outputs", () => {
  const { cells } = JSON.parse(readFileSync(NOTEBOOK, "utf8")) as {
    cells: { cell_type: string; outputs?: unknown[]; execution_count?: unknown }[];
  };
  assert.deepEqual(
    cells.filter(({ outputs = [], execution_count = null }) => outputs.length > 0 || execution_count !== null),
    [],
  );
});
