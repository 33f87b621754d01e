import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAnswers } from "../../src/cli/commands/ask.ts";
import { displayWidth } from "../../src/cli/display-width.ts";
import { csvValue, neutral } from "../../src/duckdb/safe-csv.ts";
import type { Column } from "../../src/pipeline/definition.ts";
import type { Answer } from "../../src/query/ask.ts";
import { assert as check, bigInt, property } from "fast-check";
import { formatHistory, formatReports } from "../../src/cli/maintenance-report.ts";
import { emptyReport, type ActionReport } from "../../src/maintain/parts.ts";
import { withLakeOptions } from "../../src/cli/output.ts";
import { columnsOf, formatDecimal, formatTime } from "../../src/cli/format.ts";
import { formatCsv, formatTable, outputWidth } from "../../src/cli/table.ts";

test("commands in a next step get the lake options of this command", () => {
  const step = "Run `npm run -s coinlake -- repair --table gold.t` to see it; `npm start` fetches the rest.";
  assert.equal(withLakeOptions(step, ["verify", "--json"]), step);
  assert.equal(
    withLakeOptions(step, ["verify", "--data", "/my lakes", "--lake", "replay"]),
    'Run `npm run -s coinlake -- repair --table gold.t --data "/my lakes" --lake replay` ' +
      "to see it; `npm start` fetches the rest.",
  );
  const complete = "`npm run -s coinlake -- move --data /a`";
  assert.equal(withLakeOptions(complete, ["ask", "--data", "/b"]), complete);
});

test("numbers are printed in full, with thousands separators and without trailing zeros", () => {
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

test("numbers are rounded half up on request, and never to a negative zero", () => {
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

test("printing a price loses no digit", () => {
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

test("times are printed in UTC, with a Z and without trailing zeros", () => {
  const cases: [string, string][] = [
    ["2023-03-14 02:10:00+00", "2023-03-14 02:10:00Z"],
    ["2023-03-14 02:10:00.120+00", "2023-03-14 02:10:00.12Z"],
    ["2023-03-14T02:10:00.000Z", "2023-03-14 02:10:00Z"],
    ["2023-03-14T20:00:00Z", "2023-03-14 20:00:00Z"],
  ];
  for (const [text, wanted] of cases) assert.equal(formatTime(text), wanted);
});

test("a table marks missing values and the direction of changes", () => {
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
  for (const wanted of ["▲ +1.5", "▼ -2.25", "–", "change (%)"])
    assert.ok(table.includes(wanted), `${wanted} in\n${table}`);
});

test("control characters in a payload are escaped", () => {
  const table = formatTable([{ name: "payload", header: "payload", kind: "text" }], [["\u001b[2Jgone\u0007"]]);
  assert.ok(table.includes("\\x1b[2Jgone\\x07"), table);
});

test("the numbers of a query are aligned as numbers, and printed unchanged", () => {
  const columns = columnsOf([
    { name: "year", type: "INTEGER" },
    { name: "tiny", type: "DOUBLE" },
  ]);
  const table = formatTable(columns, [["2023", "1e-15"]]);
  assert.ok(table.includes("2023") && table.includes("1e-15"), table);
});

test("a DECIMAL is printed without padding zeros, and with every significant digit", () => {
  const table = formatTable(columnsOf([{ name: "price", type: "DECIMAL(38,18)" }]), [
    ["80472.970000000000000000"],
    ["0.000041379600000000"],
    ["7.000000000000000000"],
    ["100"],
  ]);
  assert.deepEqual(
    [...table.matchAll(/[\d.]+/g)].map(([text]) => text),
    ["80472.97", "0.0000413796", "7", "100"],
  );
});

const WIDE_COLUMNS: readonly Column[] = [
  { name: "coin", header: "coin", kind: "text" },
  { name: "first", header: "first tick (UTC)", kind: "time" },
  { name: "highest", header: "highest before (USD)", kind: "price" },
  { name: "fall", header: "deepest fall (%)", kind: "figure" },
  { name: "what", header: "what happened", kind: "text" },
];
const WIDE_ROWS = [
  [
    "a-coin-of-quite-a-long-name",
    "2026-11-29T16:10:13.991123Z",
    "104235.123456789",
    "20.4413",
    "it fell, and fell, and 币安人生 fell 🙂 again",
  ],
];

test("a table fits the terminal: headers wrap, texts are truncated, numbers never are", () => {
  for (const width of [80, 100, 120]) {
    const table = formatTable(WIDE_COLUMNS, WIDE_ROWS, { width });
    for (const line of table.split("\n"))
      assert.ok(displayWidth(line) <= width, `${displayWidth(line)} of ${width}: ${line}`);
    assert.ok(
      table.includes("104,235.123456789") &&
        table.includes("20.4413") &&
        /2026-11-29/.test(table) &&
        table.includes("16:10:13"),
      table,
    );
  }
  assert.match(formatTable(WIDE_COLUMNS, WIDE_ROWS, { width: 80 }), /…/);
  for (const layout of [{ width: null }, { width: 300 }])
    assert.ok(formatTable(WIDE_COLUMNS, WIDE_ROWS, layout).includes("币安人生 fell 🙂 again"));
});

test("a table that cannot fit is printed with one line per value, as on request", () => {
  for (const layout of [{ width: 40 }, { width: null, is_vertical: true }]) {
    const table = formatTable(WIDE_COLUMNS, WIDE_ROWS, layout);
    assert.match(table, /^── 1 ──\ncoin {18}a-coin/m);
    assert.match(table, /^highest before \(USD\) {2}104,235\.123456789$/m);
    if (layout.width === 40) for (const line of table.split("\n")) assert.ok(displayWidth(line) <= 50, line);
  }
});

test("the output width comes from a terminal or from COLUMNS", () => {
  assert.equal(outputWidth({ isTTY: true, columns: 132 }, {}), 132);
  assert.equal(outputWidth({}, {}), null);
  assert.equal(outputWidth({}, { COLUMNS: "80" }), 80);
});

test("CSV quotes where necessary, distinguishes null from an empty text, and escapes formulas", () => {
  assert.equal(
    formatCsv(
      ["a", "b,c"],
      [
        ["1", null],
        ["", 'say "x"\n'],
      ],
    ),
    'a,"b,c"\r\n1,\r\n"","say ""x""\n"\r\n',
  );
  assert.deepEqual(["=1", "-5.2", "+1", "-x", "@a", "1-1", "-"].map(neutral), [
    "'=1",
    "-5.2",
    "+1",
    "'-x",
    "'@a",
    "1-1",
    "'-",
  ]);
  const VALUES: [value: string, type: string, written: string][] = [
    ["-inf", "DOUBLE", "-inf"],
    ["-inf", "VARCHAR", "'-inf"],
    ["-1 day", "INTERVAL", "'-1 day"],
    ["\n=1", "VARCHAR", "'\n=1"],
    ["[-1]", "INTEGER[]", "[-1]"],
    ["-1.50", "DECIMAL(38,18)", "-1.50"],
  ];
  for (const [value, type, written] of VALUES) assert.equal(csvValue(value, type), written, `${type} ${value}`);
});

test("a table of 200,000 lines is printed", () => {
  const columns: Column[] = [
    { name: "a", header: "a", kind: "text" },
    { name: "b", header: "b", kind: "count" },
  ];
  for (const width of [null, 40])
    assert.ok(formatTable(columns, [["x\n".repeat(200_000), "1"]], { width }).split("\n").length > 200_000);
});

test("an old answer states its age, and whose clock it is measured by", () => {
  const answer = { number: 1, title: "Now", as_of: "2026-11-29T16:33:31.378Z", parts: [] } as unknown as Answer;
  const at = (now: string, kind: "live" | "simulated", is_as_of_given = false) =>
    formatAnswers({ name: "x", kind }, [answer], { now_ms: Date.parse(now), is_as_of_given });
  assert.match(
    at("2026-11-29T19:05:00Z", "simulated"),
    /16:33:31\.378Z: the newest event in gold, on the simulated market's clock, 2 h 31 min ago$/m,
  );
  assert.match(at("2026-11-29T16:34:00Z", "live"), /16:33:31\.378Z$/m);
  assert.match(
    at("2026-11-28T16:33:00Z", "live"),
    /16:33:31\.378Z: 1 d 0 h after this machine's clock, so a clock is/m,
  );
  assert.match(at("2026-11-29T19:05:00Z", "live", true), /16:33:31\.378Z$/m);
});

const LARGE: ActionReport = {
  ...emptyReport("compact", "silver.a_table_with_quite_a_long_name_of_its_kind", {
    files: 100_000,
    delete_files: 50_000,
    size_bytes: 2_900e6,
    rows: 1,
    manifests: 9,
    snapshots: 5_000,
  }),
  after: { files: 120, delete_files: 0, size_bytes: 293.4e6, rows: 1, manifests: 1, snapshots: 130 },
  deleted_files: 99_880,
  seconds: 342,
};

test("a maintenance report fits a terminal of 80 columns, with every figure before and after", () => {
  const small = {
    ...emptyReport("orphans", LARGE.table, { ...LARGE.after, size_bytes: 1_234_000 }),
    deleted_files: 3,
    seconds: 0.04,
  };
  const report = formatReports([LARGE, small, { ...small, table: "gold.other" }]);
  const history = formatHistory([
    { id: 2, started_at: "2026-03-14T02:10:00.123Z", ...LARGE },
    { id: 1, started_at: "2026-03-14T02:09:00.123Z", ...small },
  ]);
  for (const line of `${report}\n${history}`.split("\n")) assert.ok(line.length <= 80, `${line.length}: ${line}`);
  for (const figure of ["100000→120", "50000→0", "2900→293", "5000→130", "99880", "342.0"])
    assert.ok(report.includes(figure) && history.includes(figure), `${figure} in\n${report}`);
  // The report shows an unchanged value once, and a table's name before the first of its runs.
  assert.match(report, /^  orphans\s+120\s+0\s+1\.23\s+130\s+3\s+0\.0$/m);
  assert.equal(report.split(LARGE.table).length, 2);
  assert.ok(history.includes("03-14 02:10"));
});

test("a dry run of compaction reports the files that it would rewrite", () => {
  const [header = "", , line = ""] = formatReports([
    { ...LARGE, after: LARGE.before, rewritten_files: 777, deleted_files: 0, is_dry_run: true },
  ]).split("\n");
  assert.match(line, /^  compact\s+100000\s+50000\s+2900\s+5000\s+777\s/);
  assert.match(header, /to rewrite or remove/);
  assert.doesNotMatch(header, /removed/);
});
