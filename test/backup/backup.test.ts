import assert from "node:assert/strict";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { backUp, type BackupReport } from "../../src/backup/backup.ts";
import {
  locationOfFile,
  locationOfPart,
  manifestNumbers,
  newestManifests,
  sha256,
  type BackupManifest,
  type BackupPlace,
} from "../../src/backup/manifest.ts";
import { restore } from "../../src/backup/restore.ts";
import { groupsOf } from "../../src/backup/table-files.ts";
import { ERROR_CODES, type ErrorCode } from "../../src/base/error-codes.ts";
import { crypto } from "../../pipelines/crypto.ts";
import { tableNamed } from "../../src/iceberg/errors.ts";
import { systemClock } from "../../src/base/clock.ts";
import { openLake } from "../../src/lake/open.ts";
import { QuerySession } from "../../src/duckdb/session.ts";
import { descriptionOf, findLake, listLakes } from "../../src/lake/lake.ts";
import { LOG_OFFSETS_PROPERTY } from "../../src/iceberg/metadata/log-offsets.ts";
import { claimLake } from "../../src/lake/ownership.ts";
import { embeddedMaintainer } from "../../src/maintain/embedded.ts";
import { keepWithin } from "../../src/maintain/retention.ts";
import { MaintenanceStore } from "../../src/maintain/store.ts";
import { noop } from "../../src/base/failpoints.ts";
import { locationOfPath, pathOfLocation } from "../../src/storage/file/location.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { coinlake, startCoinlake, temporaryFolder } from "../support/coinlake.ts";
import { assertReadersAgree } from "../interop/readers.ts";
import { BRONZE, Lakes, type TestLake } from "../dbt/lake.ts";
import { marketStream } from "../dbt/stream.ts";
import {
  contentOf,
  copyLake,
  differencesOf,
  killedAt,
  LAKE,
  placesOf,
  prepareLake,
  treeOf,
  type Content,
} from "./lake.ts";
import { startS3 } from "./s3-server.ts";
import { eventually } from "../support/eventually.ts";
import { coinlakeByKind } from "../support/warm-coinlake.ts";

const folder = temporaryFolder();
const pathIn = (...names: string[]): string => join(folder.path, ...names);
const place = (path: string): BackupPlace => ({ storage: new FileStorage(), root: locationOfPath(path) });

/** Maximum commits of the stream during one backup. */
const MAX_COMMITS = 80;
/** Minimum files of silver and gold, which the test does not write during the backup. */
const KEPT_FILES = 20;

let lakes: Lakes;
/** Data folder of a closed lake that no test writes. */
let source = "";
let content: Content;
/** A lake that is open in this process, with more content than the source. */
let written: TestLake;

before(async () => {
  lakes = await Lakes.open();
  written = await lakes.fresh();
  source = await prepareLake(pathIn("source"));
  content = await contentOf(source);
});
after(async () => {
  await lakes.close();
  folder.remove();
});

async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await coinlakeByKind(args);
  assert.equal(code, 0, `${args.join(" ")}\n${stderr}`);
  return stdout;
}

async function rejected(code: ErrorCode, ...args: string[]): Promise<string> {
  const finished = await coinlakeByKind(args);
  const { exit_code = 1 } = ERROR_CODES[code];
  assert.deepEqual([finished.code, finished.stderr.includes(`[${code}]`)], [exit_code, true], finished.stderr);
  return finished.stderr;
}

function sqlite(file: string, sql: string): Record<string, unknown>[] {
  const database = new DatabaseSync(file);
  try {
    if (sql.startsWith("select")) return database.prepare(sql).all();
    database.exec(sql);
    return [];
  } finally {
    database.close();
  }
}

/** Asserts that every file of the newest complete backup is present with its checksum. */
async function assertWhole(target: BackupPlace): Promise<BackupManifest> {
  const [newest] = await newestManifests(target, await manifestNumbers(target), 1);
  assert.ok(newest !== undefined, "a backup is complete");
  const named = [
    ...newest.files.map((file) => ({ ...file, location: locationOfFile(target, file.path) })),
    ...newest.stores.flatMap(({ parts }) => parts.map((part) => ({ ...part, location: locationOfPart(target, part) }))),
  ];
  for (const { location, sha256: expected, size_bytes } of named) {
    const bytes = await target.storage.read(location);
    assert.deepEqual([bytes.length, sha256(bytes)], [size_bytes, expected], location);
  }
  return newest;
}

describe("a backup of an idle lake", () => {
  test("restores every value of every snapshot in another folder, and leaves the original unchanged", async () => {
    assert.ok([...content.keys()].length > 20, "tables have older snapshots");
    const before_ = treeOf(source);
    const made = JSON.parse(await run("backup", pathIn("rest"), "--data", source, "--json")) as BackupReport;
    assert.equal(made.is_between_increments, true);
    assert.deepEqual(differencesOf(before_, treeOf(source)), []);
    const report = JSON.parse(await run("restore", pathIn("rest"), "--data", pathIn("restored"), "--json")) as {
      id: string;
      folder: string;
    };
    assert.deepEqual(differencesOf(before_, treeOf(source)), []);
    assert.deepEqual(await contentOf(pathIn("restored")), content);
    await run("verify", "--deep", "--data", pathIn("restored"));
    const scratch = pathIn("scratch");
    const stopped = startCoinlake(["verify", "--deep", "--data", pathIn("restored"), "--scratch", scratch]);
    await eventually(() => existsSync(scratch), { what: "the verification has begun" });
    stopped.child.kill("SIGINT");
    const { code, stdout, stderr } = await stopped.finished;
    assert.deepEqual([code, stdout], [130, ""], stderr);
    assert.match(stderr, /Verification interrupted.*VERIFY_STOPPED.*next:/s);
    assert.deepEqual(readdirSync(scratch), [], "the temporary tables are deleted");
    // No reference leads to the original, so it can be removed.
    cpSync(source, pathIn("aside"), { recursive: true });
    rmSync(source, { recursive: true });
    try {
      const places = await placesOf(pathIn("restored"));
      const open = await openLake(findLake(pathIn("restored"), LAKE));
      const session = await QuerySession.open(open);
      const found = await assertReadersAgree(session, open.server.url, places).finally(async () => {
        session.close();
        await open.close();
      });
      assert.deepEqual(found, [...content.values()]);
    } finally {
      cpSync(pathIn("aside"), source, { recursive: true });
    }
    assert.deepEqual(listLakes(pathIn("restored")), [LAKE]);
    assert.notEqual(report.id, findLake(source, LAKE).id);
    assert.equal(report.folder, join(pathIn("restored"), LAKE));
  });

  test("contains position delete files", async () => {
    const newest = await assertWhole(place(pathIn("rest")));
    assert.ok(
      newest.files.some(({ path }) => /delete/.test(path)),
      newest.files.map(({ path }) => path).join("\n"),
    );
  });

  test("copies no file that the previous one has, and keeps the last two", async () => {
    const second = JSON.parse(await run("backup", pathIn("rest"), "--data", source, "--json")) as Record<
      string,
      number
    >;
    assert.deepEqual([second["number"], second["copied_files"], second["copied_parts"]], [2, 0, 0]);
    const third = JSON.parse(await run("backup", pathIn("rest"), "--data", source, "--json")) as Record<string, number>;
    assert.equal(third["number"], 3);
    assert.deepEqual(readdirSync(pathIn("rest", "manifests")), ["00000002.json", "00000003.json"]);
    await assertWhole(place(pathIn("rest")));
  });

  test("rejects targets that must not be overwritten", async () => {
    writeFileSync(pathIn("aside", "note"), "precious");
    await rejected("BACKUP_TARGET_NOT_EMPTY", "backup", pathIn("aside"), "--data", source);
    if (process.platform === "linux") await rejected("FOLDER_NOT_WRITABLE", "backup", "/proc/below", "--data", source);
    await rejected("BACKUP_INSIDE_LAKE", "backup", join(source, LAKE, "backup"), "--data", source);
    await rejected("BACKUP_OF_ANOTHER_LAKE", "backup", pathIn("rest"), "--data", pathIn("restored"));
    await rejected("TARGET_NOT_EMPTY", "restore", pathIn("rest"), "--data", pathIn("restored"));
    await rejected("BACKUP_NOT_FOUND", "restore", pathIn("aside"), "--data", pathIn("new"));
    assert.equal(existsSync(pathIn("new")), false);
  });

  test("cannot be restored if it is damaged, and the error names the file", async () => {
    cpSync(pathIn("rest"), pathIn("damaged"), { recursive: true });
    const target = place(pathIn("damaged"));
    const { files } = await assertWhole(target);
    const victim = pathOfLocation(
      locationOfFile(target, files.find(({ path }) => path.endsWith(".parquet"))?.path ?? ""),
    );
    const bytes = readFileSync(victim);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(victim, bytes);
    const said = await rejected("BACKUP_DAMAGED", "restore", pathIn("damaged"), "--data", pathIn("from-damaged"));
    assert.ok(said.includes(victim), said);
    assert.deepEqual(listLakes(pathIn("from-damaged")), []);
  });

  test("verifies the checksums in the catalog, and relocates them", async () => {
    const summed = await copyLake(source, pathIn("summed"));
    const file = join(summed, LAKE, "catalog.db");
    const columns =
      "location text primary key, size_bytes integer not null, sha256 text not null, taken_by text not null";
    sqlite(
      file,
      `create table if not exists file_checksums (${columns}) strict, without rowid; delete from file_checksums`,
    );
    const files = [...treeOf(join(summed, LAKE, "warehouse"))].filter(([, content_]) => content_ !== "folder");
    const values = files.map(
      ([path, digest]) => `('file://${join(summed, LAKE, "warehouse", path)}', 1, '${digest}', 'commit')`,
    );
    sqlite(file, `insert into file_checksums values ${values.join(", ")}`);
    await run("backup", pathIn("summed-backup"), "--data", summed);
    await run("restore", pathIn("summed-backup"), "--data", pathIn("summed-restored"));
    const warehouse = join(pathIn("summed-restored"), LAKE, "warehouse");
    const rows = sqlite(
      join(pathIn("summed-restored"), LAKE, "catalog.db"),
      "select location, sha256 from file_checksums",
    );
    const moved = new Map(rows.map((row) => [String(row["location"]), String(row["sha256"])]));
    for (const [path, digest] of treeOf(warehouse))
      if (digest !== "folder") assert.equal(moved.get(`file://${join(warehouse, path)}`), digest, path);
    for (const location of moved.keys()) assert.ok(location.startsWith(`file://${warehouse}/`), location);

    sqlite(file, `update file_checksums set sha256 = 'another' where location like '%.parquet'`);
    const said = await rejected("TABLE_FILE_DAMAGED", "backup", pathIn("summed-damaged"), "--data", summed);
    assert.match(said, /\.parquet has changed since its commit/);
  });

  test("streams data files instead of reading them into memory", async () => {
    class WithLargeFiles extends FileStorage {
      override async read(location: string): Promise<Uint8Array> {
        assert.ok(!/data\/.*\.parquet$/.test(location), `${location} is read whole`);
        return await super.read(location);
      }
    }
    const storage = new WithLargeFiles();
    const target = { storage, root: locationOfPath(pathIn("large")) };
    const lake = findLake(source, LAKE);
    const common = { storage, step: noop, signal: new AbortController().signal };
    const backing = {
      ...common,
      lake,
      description: descriptionOf(lake.folder),
      target,
      scratch: pathIn("scratch"),
      pipeline: crypto,
      clock: systemClock,
    };
    const { files, copied_files } = await backUp(backing);
    assert.ok(files === copied_files && files > KEPT_FILES);
    const engine = { memory_limit_mb: 256, threads: 1, s3: null };
    // The engine rewrites the deletes.
    await restore({
      ...common,
      source: target,
      number: null,
      folderOf: (name) => join(pathIn("from-large"), name),
      warehouse: null,
      engine,
    });
    assert.deepEqual(await contentOf(pathIn("from-large")), content);
  });

  test("copies files concurrently up to a number of files and of bytes", () => {
    const groups = groupsOf([1, 1, 1, 1, 50, 60, 200, 1, 1], { at_once: 3, max_bytes: 100, sizeOf: (size) => size });
    assert.deepEqual(groups, [[1, 1, 1], [1, 50], [60], [200], [1, 1]]);
  });

  test("is restored into S3 without deleting other objects, even in repeated and killed runs", async () => {
    const s3 = await startS3();
    try {
      const env = {
        AWS_ENDPOINT_URL_S3: s3.url,
        AWS_ACCESS_KEY_ID: "key",
        AWS_SECRET_ACCESS_KEY: "secret",
        AWS_REGION: "us-east-1",
      };
      const args = ["restore", pathIn("rest"), "--data", pathIn("into-s3"), "--warehouse", "s3://bucket/tables"];
      const { files } = await assertWhole(place(pathIn("rest")));
      const wanted = files.map(({ path }) => `bucket/tables/${path}`);
      const rejectedBeside = async (name: string, bytes: Buffer): Promise<void> => {
        const others = new Map([...s3.objects].filter(([other]) => other !== name));
        s3.objects.set(name, bytes);
        for (let count = 0; count < 2; count += 1) {
          const { code, stderr } = await coinlake(args, env);
          assert.deepEqual([code, stderr.includes("[WAREHOUSE_NOT_EMPTY]")], [1, true], stderr);
          assert.deepEqual(s3.objects, new Map([...others, [name, bytes]]));
        }
        s3.objects.delete(name);
      };
      await rejectedBeside("bucket/tables/another/lakes.parquet", Buffer.from("precious"));
      // The original's warehouse: its files are those of the backup.
      await rejectedBeside(
        wanted[0] ?? "",
        readFileSync(pathOfLocation(locationOfFile(place(pathIn("rest")), files[0]?.path ?? ""))),
      );

      const killed = async (moment: string): Promise<void> => {
        const { signal, stderr } = await startCoinlake(args, { ...env, COINLAKE_KILL_AT: moment }).finished;
        assert.equal(signal, "SIGKILL", stderr);
      };
      await killed("inside restore:20");
      const copied = s3.objects.size;
      assert.ok(copied >= 20 && copied < wanted.length, `${copied} copied`);
      await rejectedBeside("bucket/tables/another/lakes.parquet", Buffer.from("precious"));
      assert.equal(s3.objects.size, copied);
      // Relocation rewrites the first table's metadata; the next run removes the files that the killed run wrote.
      await killed("inside relocation:2");
      assert.ok(s3.objects.size > wanted.length);
      await killed("inside relocation:1");
      assert.deepEqual([...s3.objects.keys()].sort(), wanted.sort());
    } finally {
      await s3.close();
    }
  });

  test("is written to S3 and restored from it", async () => {
    const s3 = await startS3();
    try {
      const env = {
        AWS_ENDPOINT_URL_S3: s3.url,
        AWS_ACCESS_KEY_ID: "key",
        AWS_SECRET_ACCESS_KEY: "secret",
        AWS_REGION: "us-east-1",
      };
      for (const args of [
        ["backup", "s3://bucket/lake", "--data", source],
        ["restore", "s3://bucket/lake", "--data", pathIn("from-s3")],
      ]) {
        const { code, stderr } = await coinlake(args, env);
        assert.equal(code, 0, stderr);
      }
      assert.deepEqual(await contentOf(pathIn("from-s3")), content);
    } finally {
      await s3.close();
    }
  });
});

describe("a backup of a lake in use", () => {
  test("is consistent during ingest and expiry, and the next one copies only new files", async () => {
    const stream = await marketStream(5);
    await written.append(stream.slice(0, 100));
    await written.ingest();
    await written.increment();
    const claim = claimLake(written.open.lake, "a test");
    const store = new MaintenanceStore(written.open.lake.folder);
    const controller = new AbortController();
    const maintainer = embeddedMaintainer({ open: written.open, store, clock: systemClock, signal: controller.signal });
    let next = 100;
    const write = async (): Promise<void> => {
      await written.append(stream.slice(next, next + 3));
      next += 3;
      await written.ingest();
      await maintainer.maintain(BRONZE, ["expire"], { expire: { policy: keepWithin(0) } });
    };
    const running = startCoinlake(["backup", pathIn("busy"), "--data", written.data_folder, "--json"]);
    let commits = 0;
    while (running.child.exitCode === null && commits < MAX_COMMITS) {
      await write();
      commits += 1;
    }
    const { code, stdout, stderr } = await running.finished;
    assert.equal(code, 0, stderr);
    assert.ok(commits > 3, `${commits} commits beside the backup`);
    const first = JSON.parse(stdout) as { files: number };
    assert.ok(first.files >= KEPT_FILES, stdout);
    await assertWhole(place(pathIn("busy")));

    await write();
    const second = JSON.parse(await run("backup", pathIn("busy"), "--data", written.data_folder, "--json")) as Record<
      string,
      number
    >;
    // Later commits added files; a backup does not copy earlier files again.
    const { files: all = 0, copied_files = 0 } = second;
    assert.ok(copied_files > 0 && copied_files <= all - KEPT_FILES, JSON.stringify({ first, second }));
    store.close();
    claim.release();
    for (const [number, to] of [
      ["1", "busy-1"],
      ["2", "busy-2"],
    ] as const) {
      await run("restore", pathIn("busy"), "--data", pathIn(to), "--backup", number);
      // Log, bronze, silver and gold of one moment: `verify` finds nothing.
      await run("verify", "--data", pathIn(to));
    }
    // All values are equal in the snapshots that both lakes have.
    const [original, restored] = [await contentOf(written.data_folder), await contentOf(pathIn("busy-2"))];
    const both = [...restored.keys()].filter((key) => !key.endsWith("head") && original.has(key));
    assert.ok(both.length >= 10, `${both.length} snapshots in both`);
    for (const key of both) assert.deepEqual(restored.get(key), original.get(key), key);
  });
});

test("a backup waits until no increment is in progress while another process writes the lake", async () => {
  const data = await copyLake(source, pathIn("increment"));
  const open = await openLake(findLake(data, LAKE));
  let claim = claimLake(open.lake, "a test");
  try {
    const identifier = tableNamed(crypto.reconciliation.accepted);
    const { metadata } = await open.catalog.loadTable(identifier);
    const consumed = JSON.parse(metadata.properties[LOG_OFFSETS_PROPERTY] ?? "{}") as Record<string, number>;
    const setConsumed = async (offsets: Record<string, number>): Promise<void> => {
      const updates = [{ action: "set-properties", updates: { [LOG_OFFSETS_PROPERTY]: JSON.stringify(offsets) } }];
      await open.catalog.commit([{ identifier, requirements: [], updates }]);
    };
    // The state after an increment that has committed this table but not the others.
    await setConsumed(
      Object.fromEntries(Object.entries(consumed).map(([partition, offset]) => [partition, offset + 1])),
    );
    claim.release();
    const within = JSON.parse(await run("backup", pathIn("within"), "--data", data, "--json")) as BackupReport;
    assert.equal(within.is_between_increments, false, "nobody would end the increment");
    claim = claimLake(open.lake, "a test");
    const { child, finished } = startCoinlake(["backup", pathIn("between"), "--data", data]);
    const scratch = pathIn("between", "coinlake-scratch");
    const hasCopied = (): boolean =>
      existsSync(scratch) &&
      readdirSync(scratch, { recursive: true }).some((name) => String(name).endsWith("catalog.db"));
    await eventually(() => child.exitCode !== null || hasCopied(), { what: "a copy of the catalog" });
    assert.equal(child.exitCode, null, "it is waiting");
    await setConsumed(consumed);
    const { code, stderr } = await finished;
    assert.equal(code, 0, stderr);
    await run("restore", pathIn("between"), "--data", pathIn("between-restored"));
    await run("verify", "--data", pathIn("between-restored"));
  } finally {
    claim.release();
    await open.close();
  }
});

describe("after a kill", () => {
  test("at any failpoint of a backup, the previous backup is intact and the next run completes", async () => {
    const changing = await copyLake(source, pathIn("changing"));
    await run("backup", pathIn("base"), "--data", changing);
    const open = await openLake(findLake(changing, LAKE));
    // New metadata of every table, in files that the first backup lacks.
    for (const [table] of await placesOf(changing)) {
      const [layer = "", name = ""] = table.split(".");
      const updates = [{ action: "set-properties", updates: { changed: "yes" } }];
      await open.catalog.commit([{ identifier: { namespace: [layer], name }, requirements: [], updates }]);
    }
    await open.close();
    for (const moment of [
      "before stores:1",
      "inside files:1",
      "inside files:5",
      "after stores:1",
      "before manifest:1",
      "after manifest:1",
      "inside cleanup:1",
    ]) {
      const folder_ = pathIn(`killed ${moment.replaceAll(/\W/g, "-")}`);
      cpSync(pathIn("base"), folder_, { recursive: true });
      await killedAt(moment, ["backup", folder_, "--data", changing]);
      const is_published = moment.startsWith("after manifest") || moment.startsWith("inside cleanup");
      assert.equal((await assertWhole(place(folder_))).number, is_published ? 2 : 1, moment);
      const { number } = JSON.parse(await run("backup", folder_, "--data", changing, "--json")) as { number: number };
      assert.equal((await assertWhole(place(folder_))).number, number, moment);
      assert.equal(existsSync(join(folder_, "coinlake-scratch")), false);
    }
  });

  test("during the first backup there is no backup, and a truncated manifest is ignored", async () => {
    await killedAt("inside files:20", ["backup", pathIn("first"), "--data", source]);
    await rejected("BACKUP_NOT_FOUND", "restore", pathIn("first"), "--data", pathIn("from-first"));
    // The state that a kill during a write leaves.
    const copied = readdirSync(pathIn("first", "files"), { recursive: true, withFileTypes: true }).find((entry) =>
      entry.isFile(),
    );
    writeFileSync(join(copied?.parentPath ?? "", copied?.name ?? ""), "half");
    await run("backup", pathIn("first"), "--data", source);
    const { number } = await assertWhole(place(pathIn("first")));
    writeFileSync(pathIn("first", "manifests", "00000009.json"), '{"format":1,"number":9,"sha256":"');
    assert.equal((await assertWhole(place(pathIn("first")))).number, number);
    await run("backup", pathIn("first"), "--data", source);
    assert.equal((await assertWhole(place(pathIn("first")))).number, 10);
  });

  for (const moment of [
    "inside restore:20",
    "inside relocation:4",
    "before relocation:1",
    "after relocation:1",
    "before placing:1",
    "after placing:1",
  ]) {
    const when = moment.replace(/:.*/, "");
    test(`${when} of a restore, no partial lake is visible, and the next run completes it`, async () => {
      const data = pathIn(`restore ${moment.replaceAll(/\W/g, "-")}`);
      await killedAt(moment, ["restore", pathIn("rest"), "--data", data]);
      const is_done = moment.startsWith("after placing");
      assert.deepEqual(listLakes(data), is_done ? [LAKE] : []);
      if (!is_done) {
        await rejected("LAKE_NOT_FOUND", "query", "select 1", "--data", data);
        await run("restore", pathIn("rest"), "--data", data);
      }
      assert.deepEqual(await contentOf(data), content);
      assert.deepEqual(
        readdirSync(data).filter((name) => name.startsWith(".")),
        [],
      );
    });
  }
});
