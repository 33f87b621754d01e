import assert from "node:assert/strict";
import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import type { Worker } from "node:worker_threads";
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

  const size_bytes = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const large = Array.from({ length: 100 }, () => message("x".repeat(50_000)));

  it("Pruning returns the disk space of a burst.", async () => {
    const log = openSqliteLog({ file: newFile() });
    await withLog(log, async () => {
      await log.createTopic("t", 1);
      for (let i = 0; i < 5; i += 1) await log.append("t", large);
      await log.append("t", [message("last")]);
      assert.equal(await log.prune("t", 0, 500, Number.MAX_SAFE_INTEGER), 500);
      assert.equal((await log.read("t", 0, 500, ALL)).length, 1);
    });
    // Closing the last connection copies the WAL into the database file.
    assert.ok(size_bytes(file) < 2_000_000, `${size_bytes(file)} bytes are left of 25 MB`);
  });

  it("A WAL that grew because of a reader is truncated later.", async () => {
    const log = openSqliteLog({ file: newFile() });
    await withLog(log, async () => {
      await log.createTopic("t", 1);
      const reader = new DatabaseSync(file);
      try {
        reader.exec("BEGIN; SELECT * FROM topic");
        for (let i = 0; i < 5; i += 1) await log.append("t", large);
        assert.ok(size_bytes(`${file}-wal`) > 20_000_000);
      } finally {
        reader.close();
      }
      await log.append("t", large);
      await log.append("t", [message("last")]);
      assert.ok(size_bytes(`${file}-wal`) < 17_000_000, `${size_bytes(`${file}-wal`)} bytes`);
    });
  });

  /** Appends until the log rejects a batch. Asserts that the log has the acknowledged records and no others. */
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

  it("Appends to a full file fail with LOG_DISK_FULL; acknowledged records remain; later appends work.", async () => {
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
  it(
    "A full disk loses no acknowledged record.",
    { skip: !is_root && "mounting a small disk takes root" },
    async (t) => {
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
    },
  );

  it("Appends to a locked file fail with LOG_LOCKED after the time-out, and succeed once it is unlocked.", async () => {
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

  it("A second process appends concurrently, and its appends wake a waiting reader.", async () => {
    const log = openSqliteLog({ file: newFile() });
    await withLog(log, async () => {
      await log.createTopic("t", 1);
      const woken = log.waitForAppend("t", await log.bounds("t"), new AbortController().signal);
      const child = fork(join(import.meta.dirname, "append-child.ts"), [file, "40"]);
      const [[exit_code]] = await Promise.all([
        once(child, "exit"),
        woken,
        ...Array.from({ length: 40 }, () => log.append("t", [message("here")])),
      ]);
      assert.equal(exit_code, 0);
      const read = await log.read("t", 0, 0, ALL);
      assert.deepEqual(
        read.map((r) => r.offset),
        Array.from({ length: 80 }, (_, i) => i),
      );
      assert.equal(read.filter((r) => Buffer.from(r.payload).toString() === "there").length, 40);
    });
  });

  it("A file that is not a log is rejected and not changed.", async () => {
    writeFileSync(newFile(), "this is no database, and it is long enough to look like one".repeat(20));
    const size_bytes = statSync(file).size;
    assert.throws(() => openSqliteLog({ file }), { code: "LOG_CORRUPT" });
    assert.equal(statSync(file).size, size_bytes);
    const other = new DatabaseSync(newFile());
    other.exec("CREATE TABLE diary (entry TEXT)");
    other.close();
    assert.throws(() => openSqliteLog({ file }), { code: "LOG_FORMAT_UNKNOWN" });
  });

  it("A read-only file is rejected.", { skip: process.getuid?.() === 0 && "root may write everything" }, async () => {
    const log = openSqliteLog({ file: newFile() });
    await log.close();
    chmodSync(file, 0o444);
    assert.throws(() => openSqliteLog({ file }), { code: "LOG_READ_ONLY" });
  });

  it("A folder that cannot be created is rejected.", () => {
    writeFileSync(join(folder, "plain-file"), "");
    assert.throws(() => openSqliteLog({ file: join(folder, "plain-file", "log.sqlite") }), { code: "LOG_CANNOT_OPEN" });
  });

  it("Waiting for another writer does not block the event loop.", async () => {
    const log = openSqliteLog({ file: newFile(), busy_timeout_ms: 200 });
    await withLog(log, async () => {
      await log.createTopic("t", 1);
      const holder = new DatabaseSync(file);
      holder.exec("BEGIN IMMEDIATE");
      const rejected = assert.rejects(log.append("t", [message("x")]), { code: "LOG_LOCKED" });
      let turns = 0;
      const ticking = setInterval(() => (turns += 1), 5);
      await rejected;
      clearInterval(ticking);
      holder.close();
      assert.ok(turns >= 5, `the event loop turned ${turns} times`);
    });
  });

  /** Node reports each thread that starts. */
  async function withThreadsSeen(body: (threads: readonly Worker[]) => Promise<void>): Promise<void> {
    const threads: Worker[] = [];
    const see = (thread: Worker): void => void threads.push(thread);
    process.on("worker", see);
    try {
      await body(threads);
    } finally {
      process.off("worker", see);
    }
  }

  async function textsIn(log: Log): Promise<string[]> {
    return (await log.read("t", 0, 0, ALL)).map(({ payload }) => Buffer.from(payload).toString());
  }

  it("The thread starts with the first append, not before.", async () => {
    await withThreadsSeen(async (threads) => {
      const log = openSqliteLog({ file: newFile() });
      await withLog(log, async () => {
        await log.createTopic("t", 1);
        await textsIn(log);
        await log.position("t", "p");
        await log.prune("t", 0, 10, Number.MAX_SAFE_INTEGER);
        assert.equal(threads.length, 0);
        await Promise.all([log.append("t", [message("x")]), log.append("t", [message("y")])]);
        assert.equal(threads.length, 1);
      });
      assert.equal(threads[0]?.threadId, -1, "closing has ended it");
    });
  });

  it("A process that does not close its log exits once its appends are durable.", async () => {
    const log = openSqliteLog({ file: newFile() });
    await withLog(log, async () => {
      await log.createTopic("t", 1);
      const child = fork(join(import.meta.dirname, "append-child.ts"), [file, "3", "leave open"]);
      const [exit_code] = await once(child, "exit");
      assert.equal(exit_code, 0);
      assert.equal((await textsIn(log)).length, 3);
    });
  });

  it("Appends that are not awaited are stored in call order, even to a topic not looked up before.", async () => {
    const first = openSqliteLog({ file: newFile() });
    await withLog(first, () => first.createTopic("t", 1));
    const log = openSqliteLog({ file });
    await withLog(log, async () => {
      const expected = Array.from({ length: 200 }, (_, i) => String(i));
      await Promise.all(expected.map((text) => log.append("t", [message(text)], { producer: "p", position: text })));
      assert.deepEqual(await textsIn(log), expected);
      assert.equal(await log.position("t", "p"), "199");
    });
  });

  it("Pruning is not starved by continuous appends.", async () => {
    const log = openSqliteLog({ file: newFile(), busy_timeout_ms: 1 });
    await withLog(log, async () => {
      await log.createTopic("t", 1);
      const appends = Array.from({ length: 100 }, (_, i) => log.append("t", [message(String(i))]));
      const pruned = log.prune("t", 0, 50, Number.MAX_SAFE_INTEGER);
      appends.push(...Array.from({ length: 100 }, (_, i) => log.append("t", [message(String(100 + i))])));
      assert.equal(await pruned, 50);
      await Promise.all(appends);
      assert.deepEqual(await log.bounds("t"), [{ partition: 0, begin: 50, end: 200 }]);
    });
  });

  it("A rejected append does not change the order of the appends after it.", async () => {
    const log = openSqliteLog({ file: newFile(), max_size_bytes: 1_000_000 });
    await withLog(log, async () => {
      await log.createTopic("t", 1);
      const [, rejected, ...others] = await Promise.allSettled(
        ["a", "b".repeat(2_000_000), "c", "d"].map((text) =>
          log.append("t", [message(text)], { producer: "p", position: text.slice(0, 1) }),
        ),
      );
      assert.equal(rejected?.status === "rejected" && rejected.reason.code, "LOG_DISK_FULL");
      assert.deepEqual(
        others.map(({ status }) => status),
        ["fulfilled", "fulfilled"],
      );
      assert.deepEqual(await textsIn(log), ["a", "c", "d"]);
    });
  });

  it("Closing makes the appends in flight durable, and rejects later ones.", async () => {
    const log = openSqliteLog({ file: newFile() });
    await log.createTopic("t", 1);
    const expected = Array.from({ length: 50 }, (_, i) => String(i));
    const appends = expected.map((text) => log.append("t", [message(text)]));
    const closed = log.close();
    await assert.rejects(log.append("t", [message("late")]), { code: "LOG_CLOSED" });
    await closed;
    await Promise.all(appends);
    const reopened = openSqliteLog({ file });
    await withLog(reopened, async () => assert.deepEqual(await textsIn(reopened), expected));
  });

  it("When the thread is killed, appends in flight and later ones fail, and no partial write remains.", async () => {
    await withThreadsSeen(async (threads) => {
      const log = openSqliteLog({ file: newFile() });
      await withLog(log, async () => {
        await log.createTopic("t", 1);
        await log.append("t", [message("before")]);
        const holder = new DatabaseSync(file);
        holder.exec("BEGIN IMMEDIATE");
        const rejected = [log.append("t", [message("x")]), log.append("t", [message("y")])].map((append) =>
          assert.rejects(append, { code: "LOG_FAILED", is_retryable: false }),
        );
        // Both requests must be in flight: the log sends them a few microtasks after the call.
        await new Promise(setImmediate);
        await threads[0]?.terminate();
        await Promise.all(rejected);
        holder.close();
        await assert.rejects(log.append("t", [message("z")]), { code: "LOG_FAILED" });
        assert.deepEqual(await textsIn(log), ["before"]);
      });
    });
  });

  it("A closed log rejects appends with LOG_CLOSED.", async () => {
    const log = openSqliteLog({ file: newFile() });
    await log.createTopic("t", 1);
    await log.close();
    await log.close();
    await assert.rejects(log.append("t", [message("x")]), { code: "LOG_CLOSED" });
  });
});
