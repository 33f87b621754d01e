import { Command, InvalidArgumentError, Option } from "commander";
import { systemClock } from "../../base/clock.ts";
import { OperatingError } from "../../base/errors.ts";
import { isDate } from "../../base/instant.ts";
import { BUILT_LAYERS, type BuiltLayer } from "../../lake/layers.ts";
import type { Column, Pipeline } from "../../pipeline/definition.ts";
import { checkQuality, type Checked } from "../../quality/quality.ts";
import { docsFolder, isCritical, nameOf } from "../../quality/result.ts";
import { withLake, type CommonOptions } from "../context.ts";
import { formatTable } from "../table.ts";
import { progressBar, styleResult } from "../output.ts";

interface QualityCommandOptions extends CommonOptions {
  layer?: BuiltLayer;
  day?: string;
  all?: boolean;
}

const EXAMPLES = `
Examples:
  npm run -s coinlake -- quality
  npm run -s coinlake -- quality --layer silver --day 2025-10-10

Without --day it checks every day that changed since its last successful check. Exits 1 when an expectation of
severity critical is not met. The expectations are in quality/; Data Docs are written to the lake's folder.`;

export function qualityCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  return withCommon(new Command("quality"))
    .description("validate silver and gold with Great Expectations")
    .addOption(new Option("--layer <layer>", "validate one layer (default: both)").choices(BUILT_LAYERS))
    .addOption(new Option("--day <date>", "validate one day (UTC), such as 2025-10-10").argParser(parseDay))
    .addOption(new Option("--all", "validate every day, also unchanged ones").conflicts("day"))
    .addHelpText("after", EXAMPLES)
    .action(async (options: QualityCommandOptions) => {
      await withLake(options, pipelines, async ({ open, output }) => {
        const { layer = null, day = null, all = false } = options;
        const bar = progressBar("checked");
        const checked = await checkQuality({
          open,
          layer,
          day,
          is_all: all,
          clock: systemClock,
          say: output.say,
          onProgress: (done, total) => bar.update(done, total),
        }).finally(() => bar.end());
        if (output.is_json)
          output.result(
            JSON.stringify({ lake: open.lake.name, data_docs: docsFolder(open.lake), ...checked }, null, 2),
          );
        else output.result(formatChecked(checked, docsFolder(open.lake)));
        const failed = checked.batches.flatMap(({ table, result }) =>
          result.failed.filter(isCritical).map((expectation) => `${table}: ${nameOf(expectation)}`),
        );
        if (failed.length > 0) throw notMet(failed);
      });
    });
}

const COLUMNS: readonly Column[] = [
  { name: "table", header: "table", kind: "text" },
  { name: "part", header: "day (UTC)", kind: "text" },
  { name: "severity", header: "severity", kind: "text" },
  { name: "expectation", header: "expectation", kind: "text" },
  { name: "observed", header: "observed", kind: "text" },
  { name: "unexpected", header: "unexpected rows", kind: "count" },
  { name: "sample", header: "such as", kind: "text" },
];

const CELL_WIDTH = 60;
/** Maximum number of expectations named in the error; the table lists all. */
const NAMED = 3;

export function formatChecked({ batches, unchanged }: Checked, docs: string): string {
  const expectations = batches.reduce((sum, { result }) => sum + result.expectations, 0);
  const failed = batches.flatMap(({ table, result }) =>
    result.failed.map((expectation) => ({ table, part: result.part, expectation })),
  );
  const rows = failed.map(({ table, part, expectation }) => [
    table,
    part,
    expectation.severity,
    folded(nameOf(expectation)),
    folded(expectation.error ?? expectation.observed ?? "–"),
    expectation.unexpected_rows === null ? null : String(expectation.unexpected_rows),
    folded(expectation.sample[0] ?? ""),
  ]);
  const checked = `${expectations} expectations of ${counted(batches.length, "batch", "batches")}`;
  const is_critical = failed.some(({ expectation }) => isCritical(expectation));
  const verdict =
    failed.length === 0
      ? `${styleResult("green", "✓")} all ${checked} are met`
      : is_critical
        ? `${styleResult("red", "✗")} ${failed.length} of ${checked} not met`
        : `${styleResult("yellow", "!")} ${failed.length} of ${checked} not met, none of them critical`;
  const rest =
    unchanged > 0 ? `${counted(unchanged, "batch", "batches")} unchanged since their last successful check` : null;
  const lines = [
    ...(rows.length > 0 ? [formatTable(COLUMNS, rows)] : []),
    batches.length > 0 ? verdict : `${styleResult("green", "✓")} nothing to check`,
  ];
  return [...lines, ...(rest === null ? [] : [rest]), `Data Docs: ${docs}/index.html`].join("\n");
}

function folded(text: string): string {
  return text.replaceAll(new RegExp(`(.{1,${CELL_WIDTH}})(?:\\s+|$)|(.{${CELL_WIDTH}})`, "g"), "$1$2\n").trim();
}

function counted(count: number, one: string, many: string): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

function parseDay(text: string): string {
  if (isDate(text)) return text;
  throw new InvalidArgumentError("Use a UTC date, such as 2025-10-10.");
}

function notMet(failed: readonly string[]): OperatingError {
  return new OperatingError(
    "EXPECTATIONS_NOT_MET",
    `${counted(failed.length, "expectation is", "expectations are")} not met: ` +
      `${failed.slice(0, NAMED).join("; ")}${failed.length > NAMED ? "; …" : ""}`,
    {
      next_step: "Inspect the rows in the table above and in Data Docs; hold downstream jobs until they are fixed.",
    },
  );
}
