import assert from "node:assert/strict";
import { after, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { openLake } from "../../src/lake/open.ts";
import { QuerySession } from "../../src/duckdb/session.ts";
import { openOrCreateLake } from "../../src/lake/lake.ts";
import type { Question } from "../../src/pipeline/definition.ts";
import { ask } from "../../src/query/ask.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const folder = temporaryFolder();
after(() => folder.remove());

const latest = async () => "2026-01-01T00:00:00Z";

test("a question about tables that no increment has created yet is answered with a note", async () => {
  const open = await openLake(openOrCreateLake(folder.path, { name: "new", kind: "simulated", pipeline: "crypto" }));
  const session = await QuerySession.open(open);
  try {
    for (const question of crypto.questions) {
      const { parts } = await ask(session, crypto, question, { as_of: null, values: {}, latest });
      for (const { note } of parts) assert.match(note ?? "", /^No answer: (silver|gold)\.\w+ has no snapshot yet\.$/);
    }
  } finally {
    session.close();
    await open.close();
  }
});

test("a slow answer is cancelled by its signal", async () => {
  const sql = () => "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t";
  const endless: Question = {
    number: 1,
    title: "When does it end?",
    tile: "The end",
    options: {},
    parts: [{ title: "", when_empty: "", columns: [], sql }],
  };
  const open = await openLake(
    openOrCreateLake(folder.path, { name: "simulated", kind: "simulated", pipeline: "crypto" }),
  );
  const session = await QuerySession.open(open);
  try {
    const options = {
      as_of: null,
      values: {},
      latest,
      signal: AbortSignal.timeout(200),
    };
    await assert.rejects(ask(session, crypto, endless, options), { code: "QUERY_CANCELLED" });
  } finally {
    session.close();
    await open.close();
  }
});
