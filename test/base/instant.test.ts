import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isoFromMicros } from "../../src/base/clock.ts";
import { isDate, microsFromIso, parseInstant_ms, parseInstant_us } from "../../src/base/instant.ts";

const INVALID = [
  "2025-02-30T00:00:00Z",
  "2025-13-01T00:00:00Z",
  "2025-10-10T25:00:00Z",
  "2025-10-10T21:00:00.1234567Z",
  "2025-10-10T21:00.5Z",
  "2025-10-10T21:00:00+0200",
  "2025-10-10T21:00:00z",
  "now",
  "",
];

test("Times are parsed to the microsecond in any zone", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 9_000_000_000_000_000 }), (at_us) =>
      assert.equal(microsFromIso(isoFromMicros(at_us)), at_us),
    ),
  );
  assert.equal(microsFromIso("2025-10-10T23:00:00.000001+02:00"), microsFromIso("2025-10-10T21:00:00.000001Z"));
  assert.equal(microsFromIso("2025-10-10T21:00Z"), microsFromIso("2025-10-10T21:00:00Z"));
  assert.equal(parseInstant_us("1969-12-31T23:59:59.999999Z"), -1);
  assert.equal(parseInstant_ms("1970-01-01T00:00:01.0019Z"), 1001);
});

test("User input may omit the zone, which is then UTC, and the time of day; recorded times may not", () => {
  for (const text of ["2025-10-10T21:00:00", "2025-10-10 21:00:00Z", " 2025-10-10 21:00", "2025-10-10T23:00+02:00"])
    assert.equal(parseInstant_us(text), microsFromIso("2025-10-10T21:00:00Z"), text);
  assert.equal(parseInstant_us("2025-10-10"), microsFromIso("2025-10-10T00:00:00Z"));
  for (const text of ["2025-10-10T21:00:00", "2025-10-10 21:00:00Z", "2025-10-10"])
    assert.equal(microsFromIso(text), null);
});

test("An invalid time is rejected with the value, cut to 50 characters", () => {
  for (const text of INVALID) {
    assert.equal(microsFromIso(text), null, text);
    assert.throws(() => parseInstant_ms(text), { code: "INVALID_TIME", message: `Invalid time "${text}"` });
  }
  assert.throws(() => parseInstant_us("x".repeat(60)), { message: `Invalid time "${"x".repeat(50)}"` });
});

test("A date must exist in the calendar", () => {
  assert.deepEqual(["2024-02-29", "2023-02-29", "2025-00-10", "2025-1-1", "today"].map(isDate), [
    true,
    false,
    false,
    false,
    false,
  ]);
});
