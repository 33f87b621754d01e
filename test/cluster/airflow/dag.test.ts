import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { pipelines } from "../../../pipelines/all.ts";
import { cacheFolder } from "../../../src/services/fetch/cache.ts";
import { airflow } from "../../../src/services/definitions/airflow.ts";
import { projectFolder } from "../../../src/lake/tools.ts";
import type { Pipeline } from "../../../src/pipeline/definition.ts";
import { coinlake, temporaryFolder } from "../../support/coinlake.ts";

interface Task {
  task_id: string;
  kind: string;
  command: string;
  after: string[];
  retries: number;
  retry_delay_seconds: number;
  backoff: number;
  max_retry_delay_seconds: number;
  timeout_seconds: number | null;
  on_failure: string[];
  assets: string[];
  trigger_rule: string;
}
interface Dag {
  dag_id: string;
  schedule: string;
  is_catching_up: boolean;
  max_active_runs: number;
  deadlines: { seconds: number; callback: string }[];
  tasks: Task[];
}

const folder = temporaryFolder();
const definitions = join(projectFolder(), "airflow");
let loaded: { errors: Record<string, string>; dags: Dag[] };

before(async () => {
  const { folder: files } = await airflow.fetch({
    folder: cacheFolder(),
    say() {},
    progress: () => ({ update() {}, end() {} }),
  });
  const script = join(projectFolder(), "test", "cluster", "airflow", "read_dags.py");
  const { COINLAKE_SCHEDULE: _, COINLAKE_DEADLINE_SECONDS: __, ...env } = process.env;
  const args = [script, folder.path, join(definitions, "dags"), join(definitions, "plugins")];
  const printed = execFileSync(join(files, "bin", "python"), args, {
    encoding: "utf8",
    env: { ...env, PYTHONDONTWRITEBYTECODE: "1" },
  });
  loaded = JSON.parse(printed.trim().split("\n").at(-1) ?? "") as typeof loaded;
});
after(() => folder.remove());

const dagOf = ({ name }: Pipeline): Dag =>
  loaded.dags.find(({ dag_id }) => dag_id === `${name}_pipeline`) ?? assert.fail(name);
const taskOf = (dag: Dag, id: string): Task => dag.tasks.find(({ task_id }) => task_id === id) ?? assert.fail(id);
/** `"$COINLAKE_CLI" transform --layer silver --data ...`, as `transform --layer silver`. */
const wordsOf = ({ command }: Task): string =>
  /^exec "\$COINLAKE_CLI" (.*?) +(?:\{%.*%\} )?--data "\$COINLAKE_DATA"/.exec(command)?.[1] ?? assert.fail(command);
const uri = (table: string): string => `iceberg://${table.replace(".", "/")}`;
const modelsOf = ({ transform }: Pipeline, layer: string): string[] =>
  globSync(`${transform.project}/models/${layer}/*.sql`, { cwd: projectFolder() })
    .map((file) => `${layer}.${basename(file, ".sql")}`)
    .sort();

test("every pipeline has a DAG, and Airflow loads all DAGs without an error", () => {
  assert.deepEqual(loaded.errors, {});
  assert.deepEqual(
    loaded.dags.map(({ dag_id }) => dag_id).sort(),
    pipelines.map(({ name }) => `${name}_pipeline`).sort(),
  );
});

for (const pipeline of pipelines) {
  test(`${pipeline.name}: builds bronze, silver and gold, checks each before the next, then maintains tables`, () => {
    const { tasks, schedule, is_catching_up, max_active_runs } = dagOf(pipeline);
    const order = [
      "wait_for_bronze",
      "bronze_health",
      "silver",
      "silver_quality",
      "gold",
      "gold_quality",
      "compact",
      "expire",
      "orphans",
      "report",
    ];
    assert.deepEqual(
      tasks.map(({ task_id, after: before_it }) => [task_id, before_it]),
      order.map((id, index) => [id, order.slice(Math.max(0, index - 1), index)]),
    );
    // Tasks downstream of a failed task do not run.
    assert.deepEqual(
      tasks.filter(({ trigger_rule }) => trigger_rule !== "all_success"),
      [],
    );
    assert.deepEqual([schedule, is_catching_up, max_active_runs], ["0 * * * *", false, 1]);
  });

  test(`${pipeline.name}: updates the asset of every table of the pipeline once its checks pass`, () => {
    const dag = dagOf(pipeline);
    assert.deepEqual(taskOf(dag, "bronze_health").assets, [uri(pipeline.bronze.table)]);
    for (const layer of ["silver", "gold"]) {
      const models = modelsOf(pipeline, layer);
      assert.ok(models.length > 0);
      assert.deepEqual(taskOf(dag, `${layer}_quality`).assets, models.map(uri));
    }
    assert.equal(
      dag.tasks.flatMap(({ assets }) => assets).length,
      1 + modelsOf(pipeline, "silver").length + modelsOf(pipeline, "gold").length,
    );
  });

  test(`${pipeline.name}: retries with backoff, limits the time of tasks, and alerts on failures and late runs`, () => {
    const { tasks, deadlines } = dagOf(pipeline);
    for (const {
      task_id,
      retries,
      retry_delay_seconds,
      backoff,
      max_retry_delay_seconds,
      timeout_seconds,
      on_failure,
    } of tasks) {
      assert.deepEqual(
        [retry_delay_seconds, backoff, max_retry_delay_seconds, on_failure],
        [10, 2, 300, ["coinlake_dag.report_failure"]],
        task_id,
      );
      assert.equal(retries, task_id.endsWith("_quality") ? 1 : 3, task_id);
      assert.ok(timeout_seconds !== null && timeout_seconds > 0 && timeout_seconds <= 1800, task_id);
    }
    assert.deepEqual(deadlines, [{ seconds: 3000, callback: "coinlake_dag.report_late" }]);
  });

  test(`${pipeline.name}: every task calls the command line with options that it knows`, async () => {
    const { tasks } = dagOf(pipeline);
    assert.deepEqual(
      tasks.map(({ kind }) => kind),
      ["BashSensor", ...Array.from({ length: tasks.length - 1 }, () => "BashOperator")],
    );
    await Promise.all(tasks.map(async (task) => await assertKnown(wordsOf(task))));
    for (const layer of ["silver", "gold"])
      assert.match(
        taskOf(dagOf(pipeline), `${layer}_quality`).command,
        /--day \{\{ params\.day \}\}.*backfill.*--day \{\{ ds \}\}/,
      );
  });
}

/** Asserts that the command's help names every option of the call. */
async function assertKnown(words: string): Promise<void> {
  const [command = ""] = /^[a-z]+( [a-z]+)?(?= |$)/.exec(words) ?? [];
  const { code, stdout, stderr } = await coinlake([...command.split(" "), "--help"]);
  assert.equal(code, 0, stderr);
  const known = new Set(stdout.match(/--[a-z-]+/g));
  const used = [...(words.match(/--[a-z-]+/g) ?? []), "--data"];
  assert.deepEqual(
    used.filter((option) => !known.has(option)),
    [],
    words,
  );
}
