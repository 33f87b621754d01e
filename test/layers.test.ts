import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { test } from "node:test";

/** The rooms of src in the order in which a record travels: a room knows the ones before it, never the ones after. */
const ROOMS = [
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

/** The one place where definitions meet the machinery. */
const COMPOSITION_ROOT = "src/cli/main.ts";

/** What Spark's protocol files became is nobody's to read. */
const sources = globSync("src/**/*.ts")
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => !file.endsWith(".d.ts"));

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const relative = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map((match) => match[1] ?? "");
  return relative.map((path) => posix.normalize(join(dirname(file), path).replaceAll("\\", "/")));
}

/** -1 for the files directly in src, which every room may know. */
function roomOf(file: string): number {
  const [, room = ""] = file.split("/");
  if (room.endsWith(".ts")) return -1;
  assert.ok(ROOMS.includes(room), `${file} lies in a room that test/layers.test.ts does not list`);
  return ROOMS.indexOf(room);
}

test("a room of src knows only itself and the rooms before it", () => {
  const breaches = sources.flatMap((file) =>
    importsOf(file)
      .filter((imported) => imported.startsWith("src/") && roomOf(imported) > roomOf(file))
      .map((imported) => `${file} imports ${imported}`),
  );
  assert.deepEqual(breaches, []);
});

test("src reaches out to pipelines and producers in one place only", () => {
  const breaches = sources.filter(
    (file) => file !== COMPOSITION_ROOT && importsOf(file).some((path) => !path.startsWith("src/")),
  );
  assert.deepEqual(breaches, []);
});

test("src runs any pipeline and names none: no coin, no source, no table of one", () => {
  // Examples in help texts may; code may not.
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

test("one function deletes files of tables", () => {
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

test("only the embedded engine knows DuckDB", () => {
  const breaches = sources.filter(
    (file) => !file.startsWith("src/duckdb/") && readFileSync(file, "utf8").includes("@duckdb/"),
  );
  assert.deepEqual(breaches, []);
});

test("only the log in Kafka knows its client", () => {
  const breaches = sources.filter(
    (file) => !file.startsWith("src/log/kafka/") && readFileSync(file, "utf8").includes("@platformatic/"),
  );
  assert.deepEqual(breaches, []);
});

test("only the cluster's engine speaks Spark Connect", () => {
  const breaches = sources.filter(
    (file) => !file.startsWith("src/spark/") && readFileSync(file, "utf8").includes("@connectrpc/"),
  );
  assert.deepEqual(breaches, []);
});

test("every source file is reached from the command line or a test", () => {
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
