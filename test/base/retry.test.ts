import assert from "node:assert/strict";
import { test } from "node:test";
import { OperatingError } from "../../src/base/errors.ts";
import { FAILURES_IN_AN_HOUR, patiently } from "../../src/base/retry.ts";
import { FakeClock } from "../producer/fake-clock.ts";

const away = (): OperatingError =>
  new OperatingError("LOG_UNREACHABLE", "It is away.", { next_step: "Wait.", is_retryable: true });
const never = new AbortController().signal;

test("A server that is away is told of and waited for, an hour in all.", async () => {
  const clock = new FakeClock();
  const began_us = clock.now_us();
  let told = 0;
  const waiting = patiently(
    { clock, signal: never, most_failures: FAILURES_IN_AN_HOUR, failed: () => (told += 1) },
    () => Promise.reject(away()),
  );
  await assert.rejects(waiting, { code: "LOG_UNREACHABLE" });
  assert.equal(told, FAILURES_IN_AN_HOUR - 1);
  assert.equal(Math.round((clock.now_us() - began_us) / 60e6), 60);
});

test("Failures are counted, and pauses grow, from where the work has come to.", async () => {
  const clock = new FakeClock();
  let place = 0;
  let attempts = 0;
  const work = async (): Promise<string> => {
    attempts += 1;
    if (attempts === 10) return "done";
    if (attempts % 3 === 0) place += 1;
    throw away();
  };
  assert.equal(
    await patiently({ clock, signal: never, most_failures: 4, failed: () => {}, place: () => place }, work),
    "done",
  );
  assert.deepEqual(
    clock.waits_ms,
    [1, 2, 1, 2, 4, 1, 2, 4, 1].map((seconds) => seconds * 1000),
  );
});
