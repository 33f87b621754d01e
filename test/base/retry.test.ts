import assert from "node:assert/strict";
import { test } from "node:test";
import { OperatingError } from "../../src/base/errors.ts";
import { MAX_CONSECUTIVE_FAILURES, withRetry } from "../../src/base/retry.ts";
import { FakeClock } from "../producer/fake-clock.ts";

const away = (): OperatingError =>
  new OperatingError("LOG_UNREACHABLE", "The server is away", { next_step: "Wait.", is_retryable: true });
const never = new AbortController().signal;

test("A server that is unreachable is reported and retried for an hour.", async () => {
  const clock = new FakeClock();
  const began_us = clock.now_us();
  let reports = 0;
  const waiting = withRetry(
    { clock, signal: never, max_attempts: MAX_CONSECUTIVE_FAILURES, failed: () => (reports += 1) },
    () => Promise.reject(away()),
  );
  await assert.rejects(waiting, { code: "LOG_UNREACHABLE" });
  assert.equal(reports, MAX_CONSECUTIVE_FAILURES - 1);
  assert.equal(Math.round((clock.now_us() - began_us) / 60e6), 60);
});

test("Progress resets the count of failures and the delay.", async () => {
  const clock = new FakeClock();
  let progress = 0;
  let attempts = 0;
  const work = async (): Promise<string> => {
    attempts += 1;
    if (attempts === 10) return "done";
    if (attempts % 3 === 0) progress += 1;
    throw away();
  };
  assert.equal(
    await withRetry({ clock, signal: never, max_attempts: 4, failed: () => {}, progress: () => progress }, work),
    "done",
  );
  assert.deepEqual(
    clock.waits_ms,
    [1, 2, 1, 2, 4, 1, 2, 4, 1].map((seconds) => seconds * 1000),
  );
});
