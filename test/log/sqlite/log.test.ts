import assert from "node:assert/strict";
import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import type { Log } from "../../../src/log/log.ts";
import { openSqliteLog } from "../../../src/log/sqlite/log.ts";
import { logContract, message } from "../contract.ts";

const ALL = { max_records: 1_000_000, max_bytes: 1_000_000_000 };

function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "coinlake-log-"));
}

logContract("The SQLite log", async () => {
  const folder = temporaryFolder();
  return {
    open: async () => openSqliteLog({ file: join(folder, "lake", "log.sqlite") }),
    dispose: async () => rmSync(folder, { recursive: true }),
  };
});

describe("The SQLite log and its file", () => {
  let folder: string;
  let file: string;
  before(() => {
    folder = temporaryFolder();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  let files = 0;
  const newFile = (): string => (file = join(folder, `log-${(files += 1)}.sqlite`));

  async function withLog(log: Log, body: () => Promise<void>): Promise<void> {
    try {
      await body();
    } finally {
      await log.close();
    }
  }

  /** Appends until the log refuses; what was acknowledged, and nothing else, must be there. */
  async function fillUp(log: Log): Promise<number> {
    let acknowledged = 0;
    const batch = Array.from({ length: 10 }, () => message("x".repeat(5000)));
    for (;;) {
      try {
        await log.append("t", batch, { producer: "p", position: String(acknowledged + 10) });
        acknowledged += 10;
      } catch (error) {
        assert.equal((error as { code: string }).code, "LOG_DISK_FULL");
        return acknowledged;
      }
    }
  }

  it("A file that may not grow refuses with LOG_DISK_FULL, keeps all it acknowledged, and goes on when there is room.", async () => {
    const log = openSqliteLog({ file: newFile(), max_size_bytes: 1_000_000 });
    await log.createTopic("t", 1);
    const acknowledged = await fillUp(log);
    assert.ok(acknowledged > 0);
    assert.equal((await log.bounds("t"))[0]?.end, acknowledged);
    assert.equal(await log.position("t", "p"), String(acknowledged));
    await log.close();
    const roomier = openSqliteLog({ file });
    await withLog(roomier, async () => {
      await roomier.append("t", [message("after")]);
      assert.equal((await roomier.read("t", 0, 0, ALL)).length, acknowledged + 1);
    });
  });

  const is_root = process.platform === "linux" && process.getuid?.() === 0;
  it("A disk that is really full loses nothing that was acknowledged.", { skip: !is_root && "mounting a small disk takes root" }, async (t) => {
    const disk = join(folder, "small-disk");
    mkdirSync(disk);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], { stdio: "ignore" });
    } catch {
      t.skip("this machine does not let root mount a tmpfs");
      return;
    }
    try {
      const log = openSqliteLog({ file: join(disk, "log.sqlite") });
      await log.createTopic("t", 1);
      const acknowledged = await fillUp(log);
      assert.equal((await log.bounds("t"))[0]?.end, acknowledged);
      await log.prune("t", 0, 5, Number.MAX_SAFE_INTEGER).catch(() => 0);
      await log.close();
      const reopened = openSqliteLog({ file: join(disk, "log.sqlite") });
      await withLog(reopened, async () => {
        const { begin, end } = (await reopened.bounds("t"))[0]!;
        assert.equal(end, acknowledged);
        assert.equal((await reopened.read("t", 0, begin, ALL)).length, acknowledged - begin);
        assert.equal(await reopened.position("t", "p"), String(acknowledged));
      });
    } finally {
      execFileSync("umount", [disk]);
    }
  });

  it("A file that another connection holds gives LOG_LOCKED after the time-out, and works once it is free.", async () => {
    const log = openSqliteLog({ file: newFile(), busy_timeout_ms: 50 });
    await withLog(log, async () => {
      await log.createTopic("t", 1);
      const holder = new DatabaseSync(file);
      holder.exec("BEGIN IMMEDIATE");
      await assert.rejects(log.append("t", [message("x")]), { code: "LOG_LOCKED", is_retryable: true });
      assert.equal((await log.bounds("t"))[0]?.end, 0, "reading goes on beside the writer");
      holder.exec("ROLLBACK");
      holder.close();
      await log.append("t", [message("y")]);
      assert.equal((await log.read("t", 0, 0, ALL)).length, 1);
    });
  });

  it("A second process appends and reads beside this one, and its appends wake a waiting reader.", async () => {
    const log = openSqliteLog({ file: newFile() });
    await withLog(log, async () => {
      await log.createTopic("t", 1);
      const woken = log.waitForAppend("t", await log.bounds("t"), new AbortController().signal);
      const child = fork(join(import.meta.dirname, "append-child.ts"), [file, "40"]);
      const [[exit_code]] = await Promise.all([once(child, "exit"), woken, ...Array.from({ length: 40 }, () => log.append("t", [message("here")]))]);
      assert.equal(exit_code, 0);
      const read = await log.read("t", 0, 0, ALL);
      assert.deepEqual(read.map((r) => r.offset), Array.from({ length: 80 }, (_, i) => i));
      assert.equal(read.filter((r) => Buffer.from(r.payload).toString() === "there").length, 40);
    });
  });

  it("A file that is no log is refused and left as it was.", async () => {
    writeFileSync(newFile(), "this is no database, and it is long enough to look like one".repeat(20));
    const size_bytes = statSync(file).size;
    assert.throws(() => openSqliteLog({ file }), { code: "LOG_CORRUPT" });
    assert.equal(statSync(file).size, size_bytes);
    const other = new DatabaseSync(newFile());
    other.exec("CREATE TABLE diary (entry TEXT)");
    other.close();
    assert.throws(() => openSqliteLog({ file }), { code: "LOG_FORMAT_UNKNOWN" });
  });

  it("A file that may not be written is refused.", { skip: process.getuid?.() === 0 && "root may write everything" }, async () => {
    const log = openSqliteLog({ file: newFile() });
    await log.close();
    chmodSync(file, 0o444);
    assert.throws(() => openSqliteLog({ file }), { code: "LOG_READ_ONLY" });
  });

  it("A folder that cannot be made is refused.", () => {
    writeFileSync(join(folder, "plain-file"), "");
    assert.throws(() => openSqliteLog({ file: join(folder, "plain-file", "log.sqlite") }), { code: "LOG_CANNOT_OPEN" });
  });

  it("Waiting for another writer does not block the event loop.", async () => {
    const log = openSqliteLog({ file: newFile(), busy_timeout_ms: 200 });
    await withLog(log, async () => {
      await log.createTopic("t", 1);
      const holder = new DatabaseSync(file);
      holder.exec("BEGIN IMMEDIATE");
      const refused = assert.rejects(log.append("t", [message("x")]), { code: "LOG_LOCKED" });
      let turns = 0;
      const ticking = setInterval(() => (turns += 1), 5);
      await refused;
      clearInterval(ticking);
      holder.close();
      assert.ok(turns >= 5, `the event loop turned ${turns} times`);
    });
  });

  it("A closed log says so.", async () => {
    const log = openSqliteLog({ file: newFile() });
    await log.createTopic("t", 1);
    await log.close();
    await log.close();
    await assert.rejects(log.append("t", [message("x")]), { code: "LOG_CLOSED" });
  });
});
