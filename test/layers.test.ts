import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { test } from "node:test";

/** The modules of src in order: a module imports earlier ones, never later ones. */
const MODULES = [
  "base",
  "producer",
  "pipeline",
  "storage",
  "log",
  "iceberg",
  "catalog",
  "lake",
  "ingest",
  "duckdb",
  "spark",
  "transform",
  "maintain",
  "backup",
  "query",
  "quality",
  "live",
  "alert",
  "verify",
  "repair",
  "serve",
  "services",
  "runtime",
  "cli",
];

/** The only file that connects the definitions with the modules of src. */
const COMPOSITION_ROOT = "src/cli/main.ts";

/** Declaration files are excluded: they are generated from Spark's protocol. */
const sources = globSync("src/**/*.ts")
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => !file.endsWith(".d.ts"));

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const relative = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map((match) => match[1] ?? "");
  return relative.map((path) => posix.normalize(join(dirname(file), path).replaceAll("\\", "/")));
}

/** -1 for the files directly in src, which every module may import. */
function moduleOf(file: string): number {
  const [, module = ""] = file.split("/");
  if (module.endsWith(".ts")) return -1;
  assert.ok(MODULES.includes(module), `${file} lies in a module that test/layers.test.ts does not list`);
  return MODULES.indexOf(module);
}

test("a module of src imports only itself and earlier modules", () => {
  const breaches = sources.flatMap((file) =>
    importsOf(file)
      .filter((imported) => imported.startsWith("src/") && moduleOf(imported) > moduleOf(file))
      .map((imported) => `${file} imports ${imported}`),
  );
  assert.deepEqual(breaches, []);
});

test("imports have no cycles, type imports included", () => {
  const files = globSync("{src,pipelines,producers,streaming,examples,dashboard}/**/*.{ts,tsx}")
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => !file.includes("node_modules") && !file.endsWith(".d.ts"));
  const imports = new Map(files.map((file) => [file, importsOf(file)]));
  const done = new Set<string>();
  const path: string[] = [];
  const cycles: string[] = [];
  function visit(file: string): void {
    const start = path.indexOf(file);
    if (start >= 0) cycles.push([...path.slice(start), file].join(" → "));
    if (start >= 0 || done.has(file)) return;
    path.push(file);
    for (const imported of imports.get(file) ?? []) visit(imported);
    path.pop();
    done.add(file);
  }
  files.forEach(visit);
  assert.deepEqual(cycles, []);
});

test("only the composition root of src imports pipelines and producers", () => {
  const breaches = sources.filter(
    (file) => file !== COMPOSITION_ROOT && importsOf(file).some((path) => !path.startsWith("src/")),
  );
  assert.deepEqual(breaches, []);
});

test("src names no coin, source or table of a pipeline", () => {
  // Examples in help texts may contain these names; code may not.
  const forbidden = /\b(?:bitcoin|ethereum|coingecko|binance|coinbase|kraken|dbt_crypto|crypto_\w+)\b/i;
  const breaches = sources.flatMap((file) =>
    readFileSync(file, "utf8")
      .split("\n")
      .flatMap((line, index) =>
        forbidden.test(line) && !line.includes("npm run") ? [`${file}:${index + 1} ${line.trim()}`] : [],
      ),
  );
  assert.deepEqual(breaches, []);
});

test("only src/storage deletes files of tables", () => {
  const deletes = /\bstorage\)?\.delete\(|\bunlink\w*\(.*[lL]ocation/;
  const breaches = sources.filter(
    (file) => !file.startsWith("src/storage/") && deletes.test(readFileSync(file, "utf8")),
  );
  assert.deepEqual(
    breaches,
    [],
    "call deleteOwnFiles of src/storage/own-files.ts, which confines them to the table's folder",
  );
});

test("only src/duckdb imports DuckDB", () => {
  const breaches = sources.filter(
    (file) => !file.startsWith("src/duckdb/") && readFileSync(file, "utf8").includes("@duckdb/"),
  );
  assert.deepEqual(breaches, []);
});

test("only src/log/kafka imports Kafka's client", () => {
  const breaches = sources.filter(
    (file) => !file.startsWith("src/log/kafka/") && readFileSync(file, "utf8").includes("@platformatic/"),
  );
  assert.deepEqual(breaches, []);
});

test("only src/spark imports Spark Connect's client", () => {
  const breaches = sources.filter(
    (file) => !file.startsWith("src/spark/") && readFileSync(file, "utf8").includes("@connectrpc/"),
  );
  assert.deepEqual(breaches, []);
});

test("every source file is reachable from the command line, a test or a benchmark", () => {
  const entries = [COMPOSITION_ROOT, ...globSync("{test,bench}/**/*.ts")].map((file) => file.replaceAll("\\", "/"));
  const reached = new Set<string>();
  const queue = [...entries];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (reached.has(file) || !file.endsWith(".ts")) continue;
    reached.add(file);
    queue.push(...importsOf(file));
  }
  assert.deepEqual(
    sources.filter((file) => !reached.has(file)),
    [],
  );
});
