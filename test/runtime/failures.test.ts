import assert from "node:assert/strict";
import { test } from "node:test";
import { OperatingError } from "../../src/base/errors.ts";
import { ActiveFailures } from "../../src/runtime/failures.ts";

test("a failure of one part counts until this part works again, with or without increments", () => {
  const failures = new ActiveFailures();
  const error = (code: "LIVE_TAIL_FAILED" | "DBT_FAILED", message: string) =>
    new OperatingError(code, message, { next_step: "Wait." });
  const listed = () => failures.list().map(({ code, message }) => `${code} ${message}`);
  failures.set("live views", error("LIVE_TAIL_FAILED", "no memory"));
  failures.set("increments", error("DBT_FAILED", "once"));
  failures.set("increments", error("DBT_FAILED", "twice"));
  assert.deepEqual(listed(), ["LIVE_TAIL_FAILED no memory", "DBT_FAILED twice"]);
  failures.set("increments", null);
  assert.deepEqual(listed(), ["LIVE_TAIL_FAILED no memory"]);
  failures.set("live views", null);
  assert.deepEqual(listed(), []);
});
