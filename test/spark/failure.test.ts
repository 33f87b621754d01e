import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { OperatingError } from "../../src/base/errors.ts";
import { SparkRejected, sparkFailure } from "../../src/spark/failure.ts";

/** Spark's error responses name the exception in their details; a broken connection has none. */
function rejected(message: string): SparkRejected {
  const error = new ConnectError(message, Code.Internal);
  error.details.push({ type: "google.rpc.ErrorInfo", value: new Uint8Array() });
  const failure = sparkFailure(error, "sc://spark:15002", "run a statement");
  assert.ok(failure instanceof SparkRejected);
  return failure;
}

test("An error with a condition of Spark is not retryable; a failure of a component below Spark is.", () => {
  const rejections = [
    "[PARSE_SYNTAX_ERROR] Syntax error at or near end of input. SQLSTATE: 42601",
    "(org.apache.spark.sql.AnalysisException) [TABLE_OR_VIEW_NOT_FOUND] The table cannot be found.",
  ];
  for (const message of rejections) assert.equal(rejected(message).is_retryable, false, message);
  // Error texts of Spark 4.1 when its metastore or its storage is unavailable.
  const passing = [
    "Failed to list namespace under namespace: bronze in Hive Metastore",
    "Failed to get table info from metastore bronze.crypto_ticks_raw",
    "Unable to execute HTTP request: Connect to http://127.0.0.1:9000 failed: Connection refused " +
      "(SDK Attempt Count: 6)",
  ];
  for (const message of passing)
    assert.deepEqual([rejected(message).is_retryable, rejected(message).condition], [true, null], message);
});

test("A broken connection is not a rejection.", () => {
  const failure = sparkFailure(
    new ConnectError("read ECONNRESET", Code.Aborted),
    "sc://spark:15002",
    "run a statement",
  );
  assert.ok(failure instanceof OperatingError && failure.code === "SPARK_UNREACHABLE");
});
