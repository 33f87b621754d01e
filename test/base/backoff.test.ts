import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { Backoff, backoffDelay_ms, retryAfter_ms } from "../../src/base/backoff.ts";

const limits = { base_ms: 1000, cap_ms: 60_000, retry_after_cap_ms: 600_000 };

test("The maximum delay doubles with each failure up to the cap, and is reset after a success.", () => {
  const highest = new Backoff(limits, () => 1);
  assert.deepEqual(
    Array.from({ length: 8 }, () => highest.next_ms()),
    [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000],
  );
  highest.reset();
  assert.equal(highest.next_ms(), 1000);
  assert.equal(new Backoff(limits, () => 0).next_ms(), 0);
});

test("A delay is never above the cap or below retry-after, for any number of failures and any random value.", () => {
  fc.assert(
    fc.property(
      fc.nat(2000),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.option(fc.nat(1_000_000)),
      (failures, drawn, asked_ms) => {
        const backoff = new Backoff(limits, () => drawn);
        for (let failure = 0; failure < failures; failure += 1) backoff.next_ms();
        const delay_ms = backoff.next_ms(asked_ms);
        assert.ok(delay_ms >= Math.min(asked_ms ?? 0, limits.retry_after_cap_ms));
        assert.ok(delay_ms <= Math.max(limits.cap_ms, Math.min(asked_ms ?? 0, limits.retry_after_cap_ms)));
      },
    ),
  );
});

const now_us = Date.parse("2025-10-10T21:00:00Z") * 1000;
const HEADERS: [string | null | undefined, number | null][] = [
  ["120", 120_000],
  ["0", 0],
  [" 1.5 ", 1500],
  ["Fri, 10 Oct 2025 21:01:00 GMT", 60_000],
  ["Fri, 10 Oct 2025 20:00:00 GMT", 0],
  [null, null],
  [undefined, null],
  ["", null],
  ["-5", null],
  ["soon", null],
  ["Fri, 99 Oct 2025", null],
];
for (const [header, delay_ms] of HEADERS) {
  test(`A retry-after of ${JSON.stringify(header) ?? "undefined"} delays by ${delay_ms ?? "unspecified"} ms.`, () => {
    assert.equal(retryAfter_ms(header, now_us), delay_ms);
  });
}

test("Jitter makes a share of the delay random; without jitter the delay is the maximum.", () => {
  assert.equal(backoffDelay_ms(3, limits), 4000);
  assert.equal(backoffDelay_ms(3, limits, { share: 0.5, random: () => 0 }), 2000);
  assert.equal(backoffDelay_ms(3, limits, { share: 0.5, random: () => 1 }), 4000);
  assert.equal(backoffDelay_ms(5000, limits), 60_000);
});
