import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { OperatingError } from "../../src/base/errors.ts";
import { SparkRefused, sparkFailure } from "../../src/spark/failure.ts";

/** Spark's error responses name the exception in their details; a broken connection has none. */
function refused(message: string): SparkRefused {
  const error = new ConnectError(message, Code.Internal);
  error.details.push({ type: "google.rpc.ErrorInfo", value: new Uint8Array() });
  const failure = sparkFailure(error, "sc://spark:15002", "run a statement");
  assert.ok(failure instanceof SparkRefused);
  return failure;
}

test("What Spark refuses by its rules is refused for good; what failed below it may pass.", () => {
  const refusals = [
    "[PARSE_SYNTAX_ERROR] Syntax error at or near end of input. SQLSTATE: 42601",
    "(org.apache.spark.sql.AnalysisException) [TABLE_OR_VIEW_NOT_FOUND] The table cannot be found.",
  ];
  for (const message of refusals) assert.equal(refused(message).is_retryable, false, message);
  // Error texts of Spark 4.1 when its metastore or its storage is unavailable.
  const passing = [
    "Failed to list namespace under namespace: bronze in Hive Metastore",
    "Failed to get table info from metastore bronze.crypto_ticks_raw",
    "Unable to execute HTTP request: Connect to http://127.0.0.1:9000 failed: Connection refused (SDK Attempt Count: 6)",
  ];
  for (const message of passing)
    assert.deepEqual([refused(message).is_retryable, refused(message).condition], [true, null], message);
});

test("A connection that breaks is no refusal.", () => {
  const failure = sparkFailure(
    new ConnectError("read ECONNRESET", Code.Aborted),
    "sc://spark:15002",
    "run a statement",
  );
  assert.ok(failure instanceof OperatingError && failure.code === "SPARK_UNREACHABLE");
});
