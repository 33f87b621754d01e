import assert from "node:assert/strict";
import { test } from "node:test";
import { assert as check, bigInt, property } from "fast-check";
import { columnsOf, formatDecimal, formatTable, formatTime } from "../../src/cli/format.ts";

test("figures are printed in full, with thousands and without trailing zeros", () => {
  const cases: [string, string][] = [
    ["104235.100000000000000000", "104,235.1"],
    ["0.000000012000000000", "0.000000012"],
    ["1000000.000000000000000000", "1,000,000"],
    ["-1234.500", "-1,234.5"],
    ["0.000000000000000000", "0"],
    ["12", "12"],
    ["1e-9", "0.000000001"],
    ["no number", "no number"],
  ];
  for (const [text, wanted] of cases) assert.equal(formatDecimal(text), wanted, text);
});

test("figures are rounded half up where asked for, never to a negative zero", () => {
  const cases: [string, number, string][] = [
    ["2.345", 2, "2.35"],
    ["2.344", 2, "2.34"],
    ["999.999", 2, "1,000"],
    ["-0.004", 2, "0"],
    ["-0.77", 2, "-0.77"],
    ["1234567.5", 0, "1,234,568"],
  ];
  for (const [text, decimals, wanted] of cases) assert.equal(formatDecimal(text, decimals), wanted, text);
});

test("no digit of a price is lost on its way to the screen", () => {
  check(
    property(bigInt({ min: 0n, max: 10n ** 30n }), (units) => {
      const digits = String(units).padStart(19, "0");
      const text = `${digits.slice(0, -18)}.${digits.slice(-18)}`;
      const shown = formatDecimal(text).replaceAll(",", "");
      const [whole = "", fraction = ""] = shown.split(".");
      assert.equal(BigInt(whole + fraction.padEnd(18, "0")), units);
    }),
  );
});

test("times are UTC and say so, with as much of a fraction as there is", () => {
  const cases: [string, string][] = [
    ["2023-03-14 02:10:00+00", "2023-03-14 02:10:00Z"],
    ["2023-03-14 02:10:00.120+00", "2023-03-14 02:10:00.12Z"],
    ["2023-03-14T02:10:00.000Z", "2023-03-14 02:10:00Z"],
    ["2023-03-14T20:00:00Z", "2023-03-14 20:00:00Z"],
  ];
  for (const [text, wanted] of cases) assert.equal(formatTime(text), wanted);
});

test("a table says what is missing, and which way a change goes", () => {
  const table = formatTable(
    [
      { name: "coin", header: "coin", kind: "text" },
      { name: "change", header: "change (%)", kind: "percent" },
    ],
    [
      ["bitcoin", "1.5"],
      ["ethereum", "-2.25"],
      ["doge", null],
    ],
  );
  for (const wanted of ["▲ +1.5", "▼ -2.25", "–", "change (%)"]) assert.ok(table.includes(wanted), `${wanted} in\n${table}`);
});

test("what a payload holds cannot drive the terminal", () => {
  const table = formatTable([{ name: "payload", header: "payload", kind: "text" }], [["\u001b[2Jgone\u0007"]]);
  assert.ok(table.includes("\\x1b[2Jgone\\x07"), table);
});

test("the columns of a query are aligned as numbers, and printed as they are", () => {
  const columns = columnsOf([
    { name: "year", type: "INTEGER" },
    { name: "tiny", type: "DOUBLE" },
  ]);
  const table = formatTable(columns, [["2023", "1e-15"]]);
  assert.ok(table.includes("2023") && table.includes("1e-15"), table);
});
