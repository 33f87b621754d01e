import assert from "node:assert/strict";
import { test } from "node:test";
import { assert as check, property, bigInt, integer, double } from "fast-check";
import {
  compareDecimals,
  formatAmount,
  formatDecimal,
  formatExact,
  formatPrice,
  parseDecimal,
  roundTo,
} from "../../dashboard/format/decimal.ts";
import { directionOf, formatBytes, formatFigure, formatPercent } from "../../dashboard/format/number.ts";
import { formatRows } from "../../dashboard/format/snapshot.ts";
import { formatAge, formatMoment, parseMicros, parseTime, parseWrittenTime } from "../../dashboard/format/time.ts";
import { formatJson } from "../../dashboard/pages/log/json.ts";

test("prices of every size are readable, and never have an exponent", () => {
  const prices: Record<string, string> = {
    "104235.1": "104,235.10",
    "104235.105": "104,235.11",
    "999.9995": "1,000.00",
    "87.5": "87.500",
    "3.14159": "3.1416",
    "1": "1.0000",
    "0.1823": "0.1823",
    "0.00001234": "0.00001234",
    "0.000000001": "0.000000001000",
    "0": "0.0000",
    "-12.5": "−12.500",
  };
  for (const [text, shown] of Object.entries(prices)) assert.equal(formatPrice(text), shown, text);
  for (const text of ["", "NaN", "1e-7", "abc", "1.", "Infinity"]) assert.equal(formatPrice(text), null, text);
});

test("the price in the tooltip keeps every digit", () => {
  check(
    property(bigInt({ min: 0n, max: 10n ** 30n }), integer({ min: 0, max: 18 }), (digits, scale) => {
      const text = formatDecimal({ is_negative: false, digits, scale }).replaceAll(",", "");
      const shown = parseDecimal(formatExact(text).replaceAll(",", ""));
      assert.ok(shown !== null);
      assert.equal(roundTo(shown, 18).digits, digits * 10n ** BigInt(18 - scale));
    }),
  );
});

test("decimals are compared exactly, even if they are equal as doubles", () => {
  assert.equal(compareDecimals("0.100000000000000001", "0.1"), 1);
  assert.equal(compareDecimals("0.1", "0.10"), 0);
  assert.equal(compareDecimals("9007199254740993", "9007199254740992"), 1);
  assert.equal(compareDecimals("-2", "1"), -1);
});

test("large amounts have a unit", () => {
  assert.equal(formatAmount("1234567890123.45"), "1.23T");
  assert.equal(formatAmount("45600000000"), "45.60B");
  assert.equal(formatAmount("999999999"), "1.00B");
  assert.equal(formatAmount("999"), "999.00");
  assert.equal(formatAmount("12.3"), "12.30");
});

test("a change has a sign, unless it rounds to zero", () => {
  assert.equal(formatPercent(1.005), "+1.00 %");
  assert.equal(formatPercent(-12345.678), "−12,345.68 %");
  assert.equal(formatPercent(-12345.678, 0), "−12,346 %");
  assert.equal(formatPercent(-0.004), "0.00 %");
  assert.deepEqual(
    [0.004, -0.004, 0.006, -0.006].map((percent) => directionOf(percent)),
    [0, 0, 1, -1],
  );
});

test("numbers and sizes never have an exponent", () => {
  check(
    property(double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }), (value) =>
      assert.doesNotMatch(formatFigure(value), /e/i),
    ),
  );
  assert.equal(formatFigure(0.0004133), "0.0004133");
  assert.equal(formatFigure(1234.5678), "1,235");
  assert.equal(formatBytes(999), "999 B");
  assert.equal(formatBytes(1_234_567), "1.2 MB");
});

test("times of the API and of the engine are parsed, and shown in UTC", () => {
  assert.equal(parseTime("2026-03-14 02:10:00.5+00"), Date.parse("2026-03-14T02:10:00.500Z"));
  assert.equal(parseTime("2026-03-14T02:10:00Z"), Date.parse("2026-03-14T02:10:00Z"));
  const second_us = Date.parse("2026-03-14T02:10:00Z") * 1_000;
  const micros = ["00Z", "00.5Z", "00.123456Z", "00.1234Z"].map(
    (seconds) => parseMicros(`2026-03-14T02:10:${seconds}`) - second_us,
  );
  assert.deepEqual(micros, [0, 500_000, 123_456, 123_400]);
  assert.equal(formatMoment(Date.parse("2026-03-14T23:59:59Z"), "utc"), "2026-03-14 23:59:59");
  assert.deepEqual([400, 12_345, 200_000, 3_900_000, 200_000_000].map(formatAge), [
    "< 1 s",
    "12 s",
    "3 min 20 s",
    "1 h 5 min",
    "2 d 7 h",
  ]);
});

test("a time in the URL is ISO 8601 with a zone, or a date; anything else is invalid", () => {
  const GOOD = [
    "2026-03-14",
    "2026-03-14T02:10Z",
    "2026-03-14T02:10:00.123456Z",
    "2026-03-14 02:10:00+00",
    "2026-03-14T02:10:00-05:30",
  ];
  for (const text of GOOD) assert.ok(!Number.isNaN(parseWrittenTime(text)), text);
  assert.equal(parseWrittenTime("2026-03-14"), Date.parse("2026-03-14T00:00:00Z"));
  assert.equal(parseWrittenTime("2026-03-14T02:10:00+02"), Date.parse("2026-03-14T00:10:00Z"));
  const BAD = [
    "1",
    "1 Jan 2001",
    "2026",
    "2026-03",
    "2026-03-14T02:10",
    "2026-03-14T02:10:00",
    "2026-02-31",
    "2026-02-31T00:00Z",
    "2026-13-01T00:00Z",
    "2026-03-14T25:00Z",
    "now",
    "",
  ];
  for (const text of BAD) assert.ok(Number.isNaN(parseWrittenTime(text)), text);
});

test("formatting a payload changes none of its characters but white space", () => {
  const text = '{"p":104235.10000000000000001,"s":"a \\"b\\" {,}","list":[1,{"e":1e-7}],"none":[],"o":{}}';
  const shown = formatJson(text);
  assert.equal(shown.replace(/\n */g, "").replaceAll(": ", ":"), text);
  assert.match(shown, /\n {2}"p": 104235\.10000000000000001,\n/);
  assert.equal(formatJson('{"cut": "off'), '{\n  "cut": "off');
});

test("a compaction rewrites rows; every other commit adds them", () => {
  assert.equal(formatRows({ operation: "replace", added_rows: 9280 }), "9,280 rows rewritten");
  assert.equal(formatRows({ operation: "append", added_rows: 550 }), "+550 rows");
  assert.equal(formatRows({ operation: "append", added_rows: null }), null);
});
