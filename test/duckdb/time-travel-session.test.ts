import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { OperatingError } from "../../src/base/errors.ts";
import { QuerySession } from "../../src/duckdb/session.ts";
import { TimeTravelSession } from "../../src/duckdb/time-travel-session.ts";
import { openOrCreateLake } from "../../src/lake/lake.ts";
import { openLake, type OpenLake } from "../../src/lake/open.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const folder = temporaryFolder();
let lake: OpenLake;

before(async () => {
  lake = await openLake(openOrCreateLake(folder.path, { name: "simulated", kind: "simulated", pipeline: "crypto" }));
});
after(async () => {
  await lake.close();
  folder.remove();
});

test("Work at different lake times runs sequentially, in call order, on one session.", async () => {
  let opened = 0;
  const past = new TimeTravelSession(() => {
    opened += 1;
    return QuerySession.open(lake);
  });
  const steps: string[] = [];
  const works = [1, 2, 3].map((number) =>
    past.at(number, async (session) => {
      steps.push(`start ${number}`);
      await session.figure("select 1");
      steps.push(`end ${number}`);
    }),
  );
  assert.equal(past.waiting, 2);
  const closed = past.close().then(() => steps.push("closed"));
  await Promise.all(works);
  await closed;
  assert.deepEqual(steps, ["start 1", "end 1", "start 2", "end 2", "start 3", "end 3", "closed"]);
  assert.deepEqual([opened, past.waiting], [1, 0]);
});

test("A failed open rejects its caller, and the next call opens again; failed work affects no other.", async () => {
  const failure = new OperatingError("METASTORE_FAILED", "no catalog", { next_step: "Start it." });
  const attempts: (() => Promise<QuerySession>)[] = [() => Promise.reject(failure), () => QuerySession.open(lake)];
  const past = new TimeTravelSession(() => attempts.shift()?.() ?? assert.fail("opened three times"));
  await assert.rejects(
    past.at(1, async () => {}),
    failure,
  );
  const failed = past.exclusive(() => Promise.reject(failure));
  const answered = past.exclusive((session) => session.figure("select 42"));
  await assert.rejects(failed, failure);
  assert.equal(await answered, "42");
  assert.equal(await past.shared((session) => session.figure("select 43")), "43");
  await past.close();
});
