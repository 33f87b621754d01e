import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { openSqliteFile, openSqliteFileToRead, type SqliteFormat } from "../../src/base/sqlite.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const folder = temporaryFolder();
after(() => folder.remove());

const CREATE = "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;";
const ADD_COLUMN = "ALTER TABLE note ADD COLUMN author TEXT NOT NULL DEFAULT 'unknown';";
const FILL = "UPDATE note SET author = 'filled';";

function format(...migrations: string[]): SqliteFormat {
  return { prefix: "ALERTS", name: "the notes in", application_id: 0x4e6f7465, migrations, failures: {} };
}

const OLD = format(CREATE);
const NEW = format(CREATE, ADD_COLUMN, FILL);
const options = { busy_timeout_ms: 1_000 };

function oldFile(name: string): string {
  const file = join(folder.path, name, "notes.db");
  const database = openSqliteFile(file, OLD, options);
  database.exec("INSERT INTO note (text) VALUES ('first'), ('second')");
  database.close();
  return file;
}

function rows(file: string): unknown[] {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database
      .prepare("SELECT * FROM note ORDER BY id")
      .all()
      .map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}

test("a file of an older version is copied and then upgraded", () => {
  const file = oldFile("upgrade");
  openSqliteFile(file, NEW, options).close();
  assert.deepEqual(rows(file), [
    { id: 1, text: "first", author: "filled" },
    { id: 2, text: "second", author: "filled" },
  ]);
  assert.deepEqual(rows(`${file}.v1`), [
    { id: 1, text: "first" },
    { id: 2, text: "second" },
  ]);
  openSqliteFileToRead(`${file}.v1`, OLD, options).close();
  openSqliteFileToRead(file, NEW, options).close();
  openSqliteFile(file, NEW, options).close();
  assert.deepEqual(readdirSync(join(folder.path, "upgrade")).sort(), ["notes.db", "notes.db.v1", "stores.txt"]);
});

test("a migration that fails changes nothing, and the next attempt upgrades", () => {
  const file = oldFile("failed");
  const broken = format(CREATE, ADD_COLUMN, "UPDATE missing SET author = 1;");
  assert.throws(() => openSqliteFile(file, broken, options), { code: "ALERTS_FAILED" });
  openSqliteFileToRead(file, OLD, options).close();
  openSqliteFile(file, NEW, options).close();
  assert.equal(rows(file).length, 2);
  assert.equal(rows(`${file}.v1`).length, 2);
});

test("a file of a newer version is rejected and not changed", () => {
  const file = oldFile("newer");
  openSqliteFile(file, NEW, options).close();
  const message = /has format 3, and this version knows format 1$/;
  assert.throws(() => openSqliteFile(file, OLD, options), { code: "ALERTS_FORMAT_UNKNOWN", message });
  assert.throws(() => openSqliteFileToRead(file, OLD, options), { code: "ALERTS_FORMAT_UNKNOWN", message });
  openSqliteFileToRead(file, NEW, options).close();
});

test("reading a file of an older version changes nothing and says how to upgrade it", () => {
  const file = oldFile("reading");
  assert.throws(() => openSqliteFileToRead(file, NEW, options), { code: "ALERTS_FORMAT_OUTDATED" });
  assert.ok(!existsSync(`${file}.v1`));
  openSqliteFileToRead(file, OLD, options).close();
});

test("a database of another program is rejected, with tables or without an application id", () => {
  const file = join(folder.path, "foreign.db");
  const database = new DatabaseSync(file);
  database.exec("CREATE TABLE theirs (id INTEGER)");
  database.close();
  for (const application_id of [0, OLD.application_id])
    assert.throws(() => openSqliteFile(file, { ...OLD, application_id }, options), { code: "ALERTS_FORMAT_UNKNOWN" });
});

test("a file that lacks a table is reported as damaged, to readers and writers", () => {
  const file = oldFile("lacking");
  const database = new DatabaseSync(file);
  database.exec("DROP TABLE note; CREATE TABLE other (id INTEGER) STRICT");
  database.close();
  const damaged = { code: "ALERTS_CORRUPT", message: /notes\.db lacks the table note: another program changed it/ };
  assert.throws(() => openSqliteFile(file, OLD, options), damaged);
  assert.throws(() => openSqliteFileToRead(file, OLD, options), damaged);
});
