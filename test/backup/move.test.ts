import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { moveTo, type MoveRequest } from "../../src/backup/move.ts";
import { openLake } from "../../src/lake/open.ts";
import { QuerySession } from "../../src/duckdb/session.ts";
import { findLake, listLakes, openOrCreateLake } from "../../src/lake/lake.ts";
import { claimLake } from "../../src/lake/ownership.ts";
import { noop } from "../../src/base/failpoints.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { coinlake, temporaryFolder } from "../support/coinlake.ts";
import { assertReadersAgree } from "../interop/readers.ts";
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
import { coinlakeByKind } from "../support/warm-coinlake.ts";

const folder = temporaryFolder();
const pathIn = (...names: string[]): string => join(folder.path, ...names);

let source = "";
let content: Content;

before(async () => {
  source = await prepareLake(pathIn("source"));
  content = await contentOf(source);
});
after(() => folder.remove());

const descriptionIn = (data: string): Record<string, string> =>
  JSON.parse(readFileSync(join(data, LAKE, "lake.json"), "utf8")) as Record<string, string>;

async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await coinlakeByKind(args);
  assert.equal(code, 0, `${args.join(" ")}\n${stderr}`);
  return stdout;
}

describe("a lake that was copied or moved", () => {
  const COMMANDS = [
    ["query", "select 1"],
    ["ask", "1"],
    ["verify"],
    ["alerts"],
    ["rules", "list"],
    ["maintain"],
    ["maintain", "--history"],
    ["transform"],
    ["dbt", "ls"],
    ["backup", "/nowhere"],
    ["start", "--source", "simulated", "--port", "0", "--catalog-port", "0"],
  ];

  test("is rejected as a copy by every command, which names both folders and writes nothing", async () => {
    cpSync(source, pathIn("copied"), { recursive: true });
    const [original, copy] = [treeOf(source), treeOf(pathIn("copied"))];
    for (const command of COMMANDS) {
      const { code, stderr, stdout } = await coinlake([
        ...command.slice(0, 1),
        ...(command[0] === "dbt"
          ? ["--data", pathIn("copied"), "ls"]
          : [...command.slice(1), "--data", pathIn("copied")]),
      ]);
      assert.equal(code, 1, `${command.join(" ")}\n${stdout}${stderr}`);
      assert.match(stderr, /\[LAKE_MOVED\]/, command.join(" "));
      for (const named of [join(source, LAKE), join(pathIn("copied"), LAKE), "move --copy --data", "still exists"])
        assert.ok(stderr.includes(named), `${named}: ${stderr}`);
    }
    assert.deepEqual(differencesOf(copy, treeOf(pathIn("copied"))), []);
    assert.deepEqual(differencesOf(original, treeOf(source)), []);
  });

  test("is rejected if it was renamed, and accepted by another path to the same folder", async () => {
    await copyLake(source, pathIn("renamed"));
    renameSync(pathIn("renamed", LAKE), pathIn("renamed", "other"));
    assert.throws(() => findLake(pathIn("renamed"), "other"), { code: "LAKE_MOVED" });
    assert.throws(() => openOrCreateLake(pathIn("renamed"), { name: "other", kind: "simulated", pipeline: "crypto" }), {
      code: "LAKE_MOVED",
    });
    symlinkSync(pathIn("renamed"), pathIn("alias"));
    renameSync(pathIn("renamed", "other"), pathIn("renamed", LAKE));
    for (const spelling of [pathIn("alias"), `${pathIn("renamed")}/../renamed`]) {
      const lake = findLake(spelling, LAKE);
      assert.equal(lake.warehouse, `file://${pathIn("renamed", LAKE, "warehouse")}`);
    }
    const { stdout, code } = await coinlake([
      "query",
      "select count(*) as n from gold.fact_crypto_ticks",
      "--json",
      "--data",
      pathIn("alias"),
    ]);
    assert.equal(code, 0);
    assert.equal(
      (JSON.parse(stdout) as { n: string }[])[0]?.n,
      String(content.get("gold.fact_crypto_ticks head")?.rows),
    );
  });

  test("is recognised by its real path, because a new lake records it without symbolic links", () => {
    mkdirSync(pathIn("real"));
    symlinkSync(pathIn("real"), pathIn("link"));
    const lake = openOrCreateLake(pathIn("link"), { name: "new", kind: "simulated", pipeline: "crypto" });
    assert.equal(lake.warehouse, `file://${pathIn("real", "new", "warehouse")}`);
    rmSync(pathIn("link"));
    assert.equal(findLake(pathIn("real"), "new").id, lake.id);
  });

  test("is rejected also if its tables are in S3", () => {
    const warehouse = "s3://bucket/lake";
    openOrCreateLake(pathIn("in-s3"), { name: "s3", kind: "simulated", pipeline: "crypto", warehouse });
    cpSync(pathIn("in-s3"), pathIn("in-s3-copy"), { recursive: true });
    assert.throws(
      () => findLake(pathIn("in-s3-copy"), "s3"),
      (error: Error) => error.message.includes(warehouse),
    );
    renameSync(pathIn("in-s3"), pathIn("in-s3-moved"));
    assert.throws(() => findLake(pathIn("in-s3-moved"), "s3"), { code: "LAKE_MOVED" });
  });

  test("of an earlier version gets an id from its first writer, only in its original folder", async () => {
    await copyLake(source, pathIn("old"));
    const { id: _id, location: _location, sha256: _sha256, ...old } = descriptionIn(pathIn("old"));
    writeFileSync(pathIn("old", LAKE, "lake.json"), JSON.stringify(old));
    cpSync(pathIn("old"), pathIn("old-copy"), { recursive: true });
    assert.throws(() => findLake(pathIn("old-copy"), LAKE), { code: "LAKE_MOVED" });
    assert.equal(findLake(pathIn("old"), LAKE).id, null);
    assert.deepEqual(descriptionIn(pathIn("old")), old);
    claimLake(findLake(pathIn("old"), LAKE), "a test").release();
    assert.equal(descriptionIn(pathIn("old"))["location"], pathIn("old", LAKE));
    assert.match(findLake(pathIn("old"), LAKE).id ?? "", /^[0-9a-f-]{36}$/);
    assert.throws(() => findLake(pathIn("old-copy"), LAKE), { code: "LAKE_MOVED" });
    const { stderr } = await coinlake(["move", "--data", pathIn("old-copy")]);
    assert.match(stderr, /LAKE_IS_A_COPY/);
    await run("move", "--copy", "--data", pathIn("old-copy"));
    assert.deepEqual(await contentOf(pathIn("old-copy")), content);
  });
});

describe("move", () => {
  test("relocates a lake that was moved by hand, with its id and the same content for every reader", async () => {
    await copyLake(source, pathIn("here"));
    const { id } = descriptionIn(pathIn("here"));
    renameSync(pathIn("here"), pathIn("there"));
    await run("move", "--data", pathIn("there"));
    assert.equal(descriptionIn(pathIn("there"))["id"], id);
    const places = await placesOf(pathIn("there"));
    const open = await openLake(findLake(pathIn("there"), LAKE));
    const session = await QuerySession.open(open);
    const found = await assertReadersAgree(session, open.server.url, places).finally(async () => {
      session.close();
      await open.close();
    });
    assert.deepEqual(found, [...content.values()]);
    await run("verify", "--data", pathIn("there"));
    const { code, stderr } = await coinlake(["move", "--data", pathIn("there")]);
    assert.deepEqual([code, stderr.includes("NOTHING_TO_MOVE")], [2, true]);
  });

  test("moves a lake to another folder and leaves nothing behind", async () => {
    await copyLake(source, pathIn("from"));
    const { id } = descriptionIn(pathIn("from"));
    await run("move", pathIn("to"), "--data", pathIn("from"));
    assert.deepEqual([listLakes(pathIn("from")), listLakes(pathIn("to"))], [[], [LAKE]]);
    assert.equal(existsSync(pathIn("from", LAKE)), false);
    assert.equal(descriptionIn(pathIn("to"))["id"], id);
    assert.deepEqual(await contentOf(pathIn("to")), content);
    await run("verify", "--data", pathIn("to"));
  });

  const moving = (data: string): MoveRequest => ({
    folder: join(data, LAKE),
    storage: new FileStorage(),
    engine: { memory_limit_mb: 256, threads: 1, s3: null },
    step: noop,
    signal: new AbortController().signal,
  });

  test("rejects a target inside the lake's folder in any spelling", async () => {
    const data = await copyLake(source, pathIn("around"));
    symlinkSync(join(data, LAKE, "warehouse"), pathIn("shortcut"));
    for (const target of [join(data, LAKE, "new"), join(pathIn("shortcut"), "not", "there", LAKE), join(data, LAKE)]) {
      await assert.rejects(moveTo(moving(data), target), { code: "TARGET_INSIDE" }, target);
    }
    const { code, stderr } = await coinlake(["move", pathIn("shortcut"), "--data", data]);
    assert.deepEqual([code, /TARGET_INSIDE/.test(stderr)], [2, true], stderr);
    assert.deepEqual(await contentOf(data), content);
  });

  test("killed, then moved to the target by hand: the lake is not deleted as a leftover", async () => {
    const [here, there, elsewhere] = [
      await copyLake(source, pathIn("killed-here")),
      pathIn("by-hand"),
      pathIn("elsewhere"),
    ];
    await killedAt("before placing:1", ["move", there, "--data", here]);
    rmSync(there, { recursive: true });
    renameSync(here, there);
    const { code, stderr } = await coinlake(["move", elsewhere, "--data", there]);
    assert.deepEqual([code, /LAKE_MOVED/.test(stderr)], [1, true], stderr);
    await moveTo(moving(there), join(elsewhere, LAKE));
    assert.deepEqual([existsSync(join(there, LAKE)), await contentOf(elsewhere)], [false, content]);
  });

  test("rejects a symbolic link in the lake and does not delete it, as backup does", async () => {
    const data = await copyLake(source, pathIn("linked"));
    writeFileSync(pathIn("precious"), "precious");
    for (const link of [join(data, LAKE, "rules.json"), join(data, LAKE, "warehouse", "gold", "some.parquet")]) {
      symlinkSync(pathIn("precious"), link);
      await assert.rejects(moveTo(moving(data), pathIn("unlinked", LAKE)), { code: "NOT_COPYABLE" });
      if (link.endsWith(".json")) {
        const { code, stderr } = await coinlake(["backup", pathIn("linked-backup"), "--data", data]);
        assert.deepEqual([code, /NOT_COPYABLE/.test(stderr), stderr.includes(link)], [1, true, true], stderr);
      }
      assert.equal(readFileSync(link, "utf8"), "precious");
      rmSync(link);
    }
    await moveTo(moving(data), pathIn("unlinked", LAKE));
    assert.deepEqual(await contentOf(pathIn("unlinked")), content);
  });

  test("rejects a lake that another process writes", async () => {
    await copyLake(source, pathIn("claimed"));
    const claim = claimLake(findLake(pathIn("claimed"), LAKE), "a test");
    const { code, stderr } = await coinlake(["move", pathIn("unclaimed"), "--data", pathIn("claimed")]);
    claim.release();
    assert.deepEqual([code, /LAKE_IN_USE/.test(stderr)], [1, true], stderr);
  });

  for (const moment of ["inside relocation:4", "before relocation:1", "after relocation:1"]) {
    test(`killed ${moment.replace(/:.*/, "")}: the next run completes the relocation`, async () => {
      const [here, there] = [
        pathIn(`here ${moment.replaceAll(/\W/g, "-")}`),
        pathIn(`there ${moment.replaceAll(/\W/g, "-")}`),
      ];
      await copyLake(source, here);
      renameSync(here, there);
      await killedAt(moment, ["move", "--data", there]);
      assert.throws(() => findLake(there, LAKE), { code: "LAKE_MOVED" });
      await run("move", "--data", there);
      assert.deepEqual(await contentOf(there), content);
    });
  }

  for (const moment of ["inside relocation:4", "after relocation:1", "before placing:1", "after placing:1"]) {
    const when = moment.replace(/:.*/, "");
    test(`killed ${when} to another folder: the lake is in one folder, and the next run completes`, async () => {
      const [here, there] = [
        pathIn(`from ${moment.replaceAll(/\W/g, "-")}`),
        pathIn(`to ${moment.replaceAll(/\W/g, "-")}`),
      ];
      await copyLake(source, here);
      const before_ = treeOf(here, { is_exact: false });
      await killedAt(moment, ["move", there, "--data", here]);
      assert.deepEqual(differencesOf(before_, treeOf(here, { is_exact: false })), []);
      if (moment.startsWith("after placing")) {
        assert.throws(() => findLake(here, LAKE), { code: "LAKE_MOVED" });
        assert.deepEqual(listLakes(there), [LAKE]);
      } else {
        assert.deepEqual(listLakes(there), []);
        assert.ok(findLake(here, LAKE).id !== null);
      }
      await run("move", there, "--data", here);
      assert.deepEqual(await contentOf(there), content);
      assert.equal(existsSync(join(here, LAKE)), false);
      assert.deepEqual(
        readdirSync(there).filter((name) => name.startsWith(".")),
        [],
      );
    });
  }
});
