import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { coinlake } from "../coinlake.ts";
import { MODELS } from "../lake/lake.ts";
import { crypto } from "../../pipelines/crypto.ts";
import type { Finding } from "../../src/verify/finding.ts";
import { DAMAGES, type Damage } from "./damages.ts";
import { PreparedLake } from "./prepared-lake.ts";

/** Damage is searched for by the quick look or the deep one; each case says by which it is found. */
let lake: PreparedLake;
before(async () => {
  lake = await PreparedLake.make();
});
after(() => lake.close());

function isNamed({ code, table, said }: Damage, finding: Finding): boolean {
  return finding.code === code && finding.table === (table ?? null) && said.test([finding.message, ...finding.rows].join("\n"));
}

function describe(findings: readonly Finding[]): string {
  return findings.map(({ code, table, message, rows }) => `${code} ${table ?? ""}: ${message}\n${rows.join("\n")}`).join("\n") || "nothing was found";
}

test("an undamaged lake has no finding, by the quick look and by the deep one", async () => {
  const quick = await lake.verify();
  assert.deepEqual([describe(quick.findings), quick.notes], ["nothing was found", []]);
  const { findings, notes, deep } = await lake.verifyDeep();
  assert.deepEqual([describe(findings), notes], ["nothing was found", []]);
  assert.deepEqual([deep.taken, deep.outdated], [[], []]);
  assert.equal(deep.tables_compared, MODELS.length + 1);
  assert.equal(deep.log_records_compared, quick.figures.bronze_records);
});

test("every table that the models make is in the reconciliation", () => {
  assert.deepEqual(Object.keys(crypto.books.tables).sort(), [...MODELS, "silver.crypto_products"].sort());
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
    const { findings } = is_deep ? await lake.verifyDeep({ is_bronze_whole: damage.is_in_bronze !== true }) : await lake.verify();
    const found = findings.find((finding) => isNamed(damage, finding));
    assert.ok(found !== undefined, describe(findings));
    const command = damage.table === undefined || damage.mends !== undefined ? (damage.mends ?? /repair`/) : new RegExp(`repair --table ${damage.table}\``);
    assert.match(found.next_step, command);
    if (damage.code === "ROWS_DIFFER" && !/missing/.test(damage.said.source)) assert.match(found.file ?? "no file", /\.parquet$/);
    assert.deepEqual(readdirSync(lake.lake.folder).filter((name) => name.endsWith(".db")), files, "verify makes no store");
  });
}

test("a lake that is written all the time is verified between its increments, and nothing is ever found", async () => {
  const { findings, moving, verified } = await lake.verifyWhileWritten();
  assert.equal(describe(findings), "nothing was found");
  assert.ok(moving > 0, `none of ${verified} came while an increment was under way`);
});

test("files of an older lake get their checksums from the first deep look, which says so", async () => {
  lake.reset();
  lake.forgetChecksums();
  const { code, stdout, stderr } = await coinlake(["verify", "--deep", "--json", "--data", lake.data_folder]);
  assert.equal(code, 0, stderr);
  const { deep, notes, findings } = JSON.parse(stdout);
  assert.deepEqual([deep.files_checked, findings], [0, []]);
  assert.ok(deep.checksums_taken > 50, stdout);
  assert.deepEqual(notes, [`${deep.checksums_taken} files had no checksum, and have one from now on: of these, only later changes are found by it`]);
  const again = await lake.verifyDeep();
  assert.deepEqual([again.deep.taken, again.deep.files_checked], [[], deep.checksums_taken]);
});

test("the command fails over a damaged lake, and names what is wrong and what mends it", async () => {
  lake.reset();
  await DAMAGES.find(({ title }) => title === "dim_time is dropped")?.damage(lake);
  const { code, stdout, stderr } = await coinlake(["verify", "--data", lake.data_folder]);
  assert.equal(code, 1);
  assert.match(stdout, /gold\.dim_time is missing.*\[TABLE_MISSING\]\n\s+next: .*repair --table gold\.dim_time/);
  assert.match(stderr, /LAKE_DAMAGED[\s\S]*next:.*repair --table gold\.dim_time/);
});

test("a description of the lake that is broken is named, with the command that restores it", async () => {
  lake.reset();
  writeFileSync(lake.file("lake.json"), '{"format": 1, "ki');
  const { code, stderr } = await coinlake(["verify", "--data", lake.data_folder]);
  assert.equal(code, 1);
  assert.match(stderr, /LAKE_UNREADABLE[\s\S]*restore/i);
  assert.ok(existsSync(lake.file("catalog.db")));
});
