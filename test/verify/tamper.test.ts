import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { coinlake, temporaryFolder } from "../support/coinlake.ts";
import { MODELS } from "../dbt/lake.ts";
import { crypto } from "../../pipelines/crypto.ts";
import { tableNamed } from "../../src/iceberg/errors.ts";
import { OperatingError } from "../../src/base/errors.ts";
import { projectFolder } from "../../src/lake/tools.ts";
import { locationOfPath } from "../../src/storage/file/location.ts";
import { modelsVersion } from "../../src/transform/models-version.ts";
import type { Finding } from "../../src/verify/finding.ts";
import { rebuild } from "../../src/verify/rebuild.ts";
import { checkStores } from "../../src/verify/stores.ts";
import { DAMAGES, dropBuilt, type Damage } from "./damages.ts";
import { BRONZE, FOREIGN, PreparedLake } from "./prepared-lake.ts";

const VERSION = "coinlake.models-version";

/** Quick or deep verification searches for the damage; each case names the one that finds it. */
let lake: PreparedLake;
before(async () => {
  lake = await PreparedLake.make();
});
after(() => lake.close());

function isNamed({ code, table, said }: Damage, finding: Finding): boolean {
  return (
    finding.code === code &&
    finding.table === (table ?? null) &&
    said.test([finding.message, ...finding.rows].join("\n"))
  );
}

function describe(findings: readonly Finding[]): string {
  return (
    findings
      .map(({ code, table, message, rows }) => `${code} ${table ?? ""}: ${message}\n${rows.join("\n")}`)
      .join("\n") || "nothing was found"
  );
}

test("quick and deep verification find nothing in an undamaged lake and leave its folder unchanged", async () => {
  const files = readdirSync(lake.lake.folder);
  const quick = await lake.verify();
  assert.deepEqual([describe(quick.findings), quick.notes], ["nothing was found", []]);
  const { findings, notes, deep } = await lake.verifyDeep();
  assert.deepEqual([describe(findings), notes], ["nothing was found", []]);
  assert.deepEqual([deep.taken, deep.outdated], [[], []]);
  assert.equal(deep.tables_compared, MODELS.length + 1);
  assert.equal(deep.log_records_compared, quick.figures.bronze_records);
  assert.deepEqual(readdirSync(lake.lake.folder), files);
});

test("every table that the models build is in the reconciliation", () => {
  assert.deepEqual(Object.keys(crypto.reconciliation.tables).sort(), [...MODELS, "silver.crypto_products"].sort());
});

test("there are at least forty kinds of damage", () => {
  assert.ok(DAMAGES.length >= 40, `${DAMAGES.length}`);
});

for (const damage of DAMAGES) {
  test(`${damage.found_by} finds: ${damage.title}`, async () => {
    lake.reset();
    await damage.damage(lake);
    const files = readdirSync(lake.lake.folder).filter((name) => name.endsWith(".db"));
    const is_deep = damage.found_by === "verify --deep";
    const { findings } = is_deep
      ? await lake.verifyDeep({ is_bronze_whole: damage.is_in_bronze !== true })
      : await lake.verify();
    const found = findings.find((finding) => isNamed(damage, finding));
    assert.ok(found !== undefined, describe(findings));
    const command =
      damage.table === undefined || damage.remedy !== undefined
        ? (damage.remedy ?? /repair`/)
        : new RegExp(`repair --table ${damage.table}\``);
    assert.match(found.next_step, command);
    if (damage.code === "ROWS_DIFFER" && !/missing/.test(damage.said.source))
      assert.match(found.file ?? "no file", /\.parquet$/);
    assert.deepEqual(
      readdirSync(lake.lake.folder).filter((name) => name.endsWith(".db")),
      files,
      "verify makes no store",
    );
  });
}

test("verification finds nothing in a lake that is written concurrently", async () => {
  const { findings, moving, verified } = await lake.verifyWhileWritten();
  assert.equal(describe(findings), "nothing was found");
  assert.ok(moving > 0, `none of ${verified} came while an increment was under way`);
});

test("verification finds nothing in a lake with records in its log and no table yet", async () => {
  const { findings, notes } = await lake.verifyFresh();
  assert.deepEqual([describe(findings), notes], ["nothing was found", []]);
});

test("tables without any file are a note, not a finding, because the next increment builds them", async () => {
  lake.reset();
  await dropBuilt(true)(lake);
  const { findings, notes } = await lake.verify();
  assert.equal(describe(findings), "nothing was found");
  assert.match(notes.join("\n"), /builds them from bronze: .*gold\.fact_crypto_ticks/);
});

test("a locked store is a retryable error, not damage", () => {
  lake.reset();
  for (const [name, code] of [
    ["log.db", "LOG_LOCKED"],
    ["catalog.db", "CATALOG_LOCKED"],
  ] as const) {
    const database = new DatabaseSync(lake.file(name));
    database.exec("pragma locking_mode = exclusive; begin immediate; pragma user_version = 1");
    assert.throws(() => checkStores(lake.lake, { busy_timeout_ms: 20 }), { code, is_retryable: true });
    database.close();
  }
});

test(
  "a store in a read-only folder is read without creating files beside it",
  { skip: process.getuid?.() !== 0 },
  () => {
    lake.reset();
    const folder = temporaryFolder();
    try {
      cpSync(lake.file("log.db"), join(folder.path, "log.db"));
      chmodSync(folder.path, 0o555);
      const source =
        `import { DatabaseSync } from "node:sqlite"; ` +
        `import { openReadOnly } from ${JSON.stringify(import.meta.resolve("../../src/base/sqlite.ts"))};\n      ` +
        `console.log(openReadOnly(${JSON.stringify(join(folder.path, "log.db"))}, 20)` +
        `.prepare("select count(*) as topics from topic").get().topics)`;
      // Root may write to any file.
      const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", source], {
        uid: 65_534,
        encoding: "utf8",
      });
      assert.equal(stdout, "1\n", stderr);
      assert.deepEqual(readdirSync(folder.path), ["log.db"]);
    } finally {
      folder.remove();
    }
  },
);

test("a snapshot that expires during deep verification is a retryable error, not damage", async () => {
  lake.reset();
  const overtaken = { code: "VERIFY_OVERTAKEN", is_retryable: true };
  await lake.sql("update lake.gold.dim_time set is_trading_hour = not is_trading_hour where hour = 3");
  await assert.rejects(
    lake.verifyDeepDuring(() => lake.expireSnapshot(BRONZE)),
    overtaken,
  );
  lake.reset();
  const failure = new OperatingError("MODEL_FAILED", "a data file is missing", { next_step: "" });
  const fail = async () => {
    throw failure;
  };
  await assert.rejects(lake.verifyDeepDuring(fail), { code: "REBUILD_FAILED", is_retryable: false });
  await assert.rejects(
    lake.verifyDeepDuring(() => lake.expireSnapshot(BRONZE).then(fail)),
    overtaken,
  );
});

test("an interrupted rebuild leaves no file, and its folder is named after the process", async () => {
  lake.reset();
  const scratch = temporaryFolder();
  const bronze = await lake.load(BRONZE);
  const stop = async () => {
    assert.match(readdirSync(scratch.path).join(" "), new RegExp(`^coinlake-spill-${process.pid}-\\S+$`));
    throw new Error("stopped");
  };
  const request = { pipeline: crypto, bronze, offsets: {}, s3: null, scratch_folder: scratch.path, progress: () => {} };
  await assert.rejects(rebuild(request, stop), /stopped/);
  assert.deepEqual(readdirSync(scratch.path), []);
  scratch.remove();
});

test("rows built by an earlier version of the models are not damage, and a note says what differs", async () => {
  lake.reset();
  const table = "gold.dim_time";
  const { metadata, identifier } = await lake.load(table);
  assert.equal(metadata.properties[VERSION], modelsVersion(join(projectFolder(), crypto.transform.project)));
  await lake.change(({ catalog }) =>
    catalog.commit([
      { identifier, requirements: [], updates: [{ action: "set-properties", updates: { [VERSION]: "earlier" } }] },
    ]),
  );
  const upgraded = await lake.verifyDeep();
  assert.deepEqual([describe(upgraded.findings), upgraded.notes], ["nothing was found", []]);
  await lake.sql(`update lake.${table} set is_trading_hour = not is_trading_hour where hour = 3`);
  const { findings, notes } = await lake.verifyDeep();
  assert.equal(describe(findings), "nothing was found");
  assert.match(
    notes.join("\n"),
    /^gold\.dim_time was built by an earlier version .*is_trading_hour is \S+, expected .*dbt run --full-refresh/,
  );
});

test("checksums of tables outside the layers are kept until their files are deleted", async () => {
  lake.reset();
  await lake.createForeignTable();
  const file = await lake.dataFile(FOREIGN);
  assert.deepEqual((await lake.verifyDeep()).deep.outdated, []);
  await lake.change(({ catalog }) => catalog.dropTable(tableNamed(FOREIGN), { is_purging: false }));
  rmSync(file);
  assert.deepEqual((await lake.verifyDeep()).deep.outdated, [locationOfPath(file)]);
});

test("the first deep verification of an older lake records checksums and notes it", async () => {
  lake.reset();
  lake.forgetChecksums();
  const scratch = temporaryFolder();
  // The spill folder of a killed process.
  mkdirSync(join(scratch.path, "coinlake-spill-999999999-x"));
  const { code, stdout, stderr } = await coinlake([
    "verify",
    "--deep",
    "--json",
    "--data",
    lake.data_folder,
    "--scratch",
    scratch.path,
  ]);
  assert.equal(code, 0, stderr);
  const { deep, notes, findings } = JSON.parse(stdout);
  assert.deepEqual([deep.files_checked, findings], [0, []]);
  assert.ok(deep.checksums_taken > 50, stdout);
  assert.deepEqual(notes, [
    `recorded checksums of ${deep.checksums_taken} files that had none: later runs detect changes made from now on`,
  ]);
  assert.deepEqual(readdirSync(scratch.path), []);
  scratch.remove();
  const again = await lake.verifyDeep();
  assert.deepEqual([again.deep.taken, again.deep.files_checked], [[], deep.checksums_taken]);
});

test("the command fails for a damaged lake, and names the damage and the command that repairs it", async () => {
  lake.reset();
  await DAMAGES.find(({ title }) => title === "dim_time is dropped")?.damage(lake);
  const { code, stdout, stderr } = await coinlake(["verify", "--data", lake.data_folder]);
  assert.equal(code, 1);
  assert.match(stdout, /gold\.dim_time is missing.*\[TABLE_MISSING\]\n\s+next: .*repair --table gold\.dim_time/);
  assert.match(stderr, /LAKE_DAMAGED[\s\S]*next:.*repair --table gold\.dim_time/);
});

test("a corrupt lake description is reported with the command that restores it", async () => {
  lake.reset();
  writeFileSync(lake.file("lake.json"), '{"format": 1, "ki');
  const { code, stderr } = await coinlake(["verify", "--data", lake.data_folder]);
  assert.equal(code, 1);
  assert.match(stderr, /LAKE_UNREADABLE[\s\S]*restore/i);
  assert.ok(existsSync(lake.file("catalog.db")));
});
